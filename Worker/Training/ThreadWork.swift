import Bytes
import Features
import Models

/// One thread's arrays, and the lanes it works on.
// SAFETY: each of a trainer's threads has its own, and the trainer reads it only while none of them runs.
final class ThreadWork: @unchecked Sendable {
    /// Indices among the member's lanes.
    let lanes: [Int]
    let workspace: any ModelWorkspace
    var batch: Batch
    /// The thread's summands of a step, as `StepLayout` has them.
    let sums: UnsafeMutableBufferPointer<Int64>
    /// The thread's summands of metrics, as `MetricSums` has them.
    let metrics: UnsafeMutableBufferPointer<Int64>

    /// - Parameter capacity: the largest number of samples that a lane computes at once.
    init(
        _ model: any TrainableModel, _ schema: DataSchema, lanes: [Int], capacity: Int, layout: StepLayout,
        metrics: MetricSums
    ) throws(InputError) {
        self.lanes = lanes
        workspace = try model.makeWorkspace(capacity: capacity)
        batch = Batch(schema, capacity: capacity)
        sums = .allocate(capacity: layout.count)
        self.metrics = .allocate(capacity: metrics.count)
        sums.initialize(repeating: 0)
        self.metrics.initialize(repeating: 0)
    }

    deinit {
        sums.deallocate()
        metrics.deallocate()
    }
}
