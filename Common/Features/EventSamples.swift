import CKernels

/// The samples of one part of a block, ragged: each sample's values lie one after the other, channel by channel in the
/// schema's order, as many as the entry has. Values are Float32; NaN stands for one that is missing or not finite.
package final class EventSamples: Sendable {
    /// The number of samples.
    package let count: Int
    /// All samples' values.
    let values: [Float]
    /// Values of each sample where no channel is jagged; otherwise nil, and `starts` has the index of each sample's
    /// first value.
    let stride: Int?
    let starts: [Int]
    /// `[samples, collections]`: for each collection of jagged channels, the number of values of each of its channels.
    let lengths: [Int32]
    private let collections: Int
    /// For each channel, the index of its collection; -1 for a channel with a fixed number of values.
    let lengthIndices: [Int]
    /// The entry number in the tree of the block's first entry, and each sample's entry counted from there.
    private let firstEntry: Int64
    private let entries: [UInt32]
    /// The class of each sample.
    package let labels: [Int32]
    /// The target of each sample, in the target's units; nil where classes are learnt.
    package let targets: [Float]?
    /// The weight of each sample; nil where all are 1.
    private let weights: [Float]?

    init(
        values: [Float], stride: Int?, starts: [Int], lengths: [Int32], collections: Int, lengthIndices: [Int],
        firstEntry: Int64, entries: [UInt32], labels: [Int32], targets: [Float]?, weights: [Float]?
    ) {
        precondition(entries.count == labels.count && (weights.map { $0.count == labels.count } ?? true))
        precondition(targets.map { $0.count == labels.count } ?? true)
        precondition(stride != nil || starts.count == labels.count)
        precondition(lengths.count == collections * labels.count)
        precondition(lengthIndices.allSatisfy { $0 < collections })
        count = labels.count
        self.values = values
        self.stride = stride
        self.starts = starts
        self.lengths = lengths
        self.collections = collections
        self.lengthIndices = lengthIndices
        self.firstEntry = firstEntry
        self.entries = entries
        self.labels = labels
        self.targets = targets
        self.weights = weights
    }

    /// The number of the tree's entry that a sample was made from.
    package func entry(_ sample: Int) -> Int64 { firstEntry + Int64(entries[sample]) }

    /// The weight of a sample in the loss and the metrics.
    package func weight(_ sample: Int) -> Float { weights.map { $0[sample] } ?? 1 }

    /// The index in `values` of a sample's first value.
    @inline(__always)
    func start(_ sample: Int) -> Int { stride.map { $0 * sample } ?? starts[sample] }

    /// Has the processor fetch a sample's label, weight and first values, for a read that comes soon: samples of a
    /// training step lie far apart.
    package func prefetch(_ sample: Int) {
        precondition(sample >= 0 && sample < count)
        labels.withUnsafeBufferPointer { ck_prefetch($0.baseAddress.unsafelyUnwrapped + sample) }
        weights?.withUnsafeBufferPointer { ck_prefetch($0.baseAddress.unsafelyUnwrapped + sample) }
        let first = start(sample)
        let end = min(first + (stride ?? Self.prefetched), first + Self.prefetched, values.count)
        values.withUnsafeBufferPointer { values in
            for index in Swift.stride(from: first, to: end, by: Self.lineCount) {
                ck_prefetch(values.baseAddress.unsafelyUnwrapped + index)
            }
        }
    }

    /// Values in a line of the processor's cache, and the most values of a sample that are fetched ahead.
    private static let lineCount = 16
    private static let prefetched = 128

    /// The number of values that a sample has of a channel.
    func length(_ sample: Int, of channel: Int, width: Int) -> Int {
        let index = lengthIndices[channel]
        return index < 0 ? width : Int(lengths[sample * collections + index])
    }

    /// The values of all samples and the lengths of one, for loops over its channels; valid during the call of
    /// `withValues`.
    struct SampleValues {
        let values: UnsafeBufferPointer<Float>
        fileprivate let lengths: UnsafePointer<Int32>?
        fileprivate let lengthIndices: UnsafePointer<Int>

        /// The number of values of a channel.
        @inline(__always)
        func length(of channel: Int, width: Int) -> Int {
            let index = lengthIndices[channel]
            guard index >= 0, let lengths else { return width }
            return Int(lengths[index])
        }
    }

    /// - Parameter sample: below `count`.
    @inline(__always)
    func withValues<Result>(of sample: Int, _ body: (SampleValues) -> Result) -> Result {
        precondition(sample >= 0 && sample < count)
        return values.withUnsafeBufferPointer { values in
            lengths.withUnsafeBufferPointer { lengths in
                lengthIndices.withUnsafeBufferPointer { indices in
                    body(
                        SampleValues(
                            values: values, lengths: lengths.baseAddress.map { $0 + sample * collections },
                            lengthIndices: indices.baseAddress.unsafelyUnwrapped))
                }
            }
        }
    }

    /// Bytes in memory, without constant overhead.
    package var bytes: Int {
        4 * values.count + 8 * starts.count + 4 * lengths.count + 8 * count
            + 4 * (weights?.count ?? 0) + 4 * (targets?.count ?? 0)
    }
}
