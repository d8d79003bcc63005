/// The samples of one step or one piece of an evaluation, as a model takes them. The storage is used again for the next
/// batch; copies of a `Batch` share it, so that one owner assembles and reads it.
package struct Batch: Sendable {
    /// Samples in this batch.
    package internal(set) var sampleCount = 0
    /// In the order of the schema's inputs.
    package internal(set) var inputs: [BatchInput]
    /// `[samples]`, the class of each sample.
    package internal(set) var labels: [Int32] = []
    /// `[samples]`, the target of each sample in the target's units; empty where classes are learnt.
    package internal(set) var targets: [Float] = []
    /// `[samples]`, the weight of each sample.
    package internal(set) var weights: [Float] = []
    /// For each sample the index of its next value in its store, while a batch is assembled.
    var cursors: [Int] = []

    /// An empty batch for a schema's inputs.
    /// - Parameter capacity: samples for which storage is reserved where their size is known; larger batches allocate
    ///   more.
    package init(_ schema: DataSchema, capacity: Int = 0) {
        inputs = schema.inputs.map { BatchInput($0, capacity: capacity) }
        labels.reserveCapacity(capacity)
        if schema.target != nil { targets.reserveCapacity(capacity) }
        weights.reserveCapacity(capacity)
        cursors.reserveCapacity(capacity)
    }
}
