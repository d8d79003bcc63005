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
    private let assembler: BatchAssembler
    private var samples: [Sample] = []
    private var segments: [BatchSegment] = []
    /// The thread's summands of a step, as `StepLayout` has them.
    let sums: UnsafeMutableBufferPointer<Int64>
    /// The thread's summands of metrics, as `MetricSums` has them.
    private(set) var metrics: UnsafeMutableBufferPointer<Int64>

    /// - Parameter capacity: the largest number of samples that the thread computes at once.
    init(
        _ model: any TrainableModel, _ schema: DataSchema, lanes: [Int], capacity: Int, layout: StepLayout,
        metrics: MetricSums
    ) throws(InputError) {
        self.lanes = lanes
        workspace = try model.makeWorkspace(capacity: capacity)
        batch = Batch(schema, capacity: capacity)
        assembler = BatchAssembler(schema)
        sums = .allocate(capacity: layout.count)
        self.metrics = .allocate(capacity: metrics.count)
        sums.initialize(repeating: 0)
        self.metrics.initialize(repeating: 0)
    }

    /// Makes the summands of metrics as many as these are, all 0.
    func reset(_ metrics: MetricSums) {
        if self.metrics.count != metrics.count {
            self.metrics.deallocate()
            self.metrics = .allocate(capacity: metrics.count)
            self.metrics.initialize(repeating: 0)
        } else {
            self.metrics.update(repeating: 0)
        }
    }

    /// Computes the sums of one step of the thread's lanes: one product a layer for all of them, and their gradients
    /// lane by lane.
    ///
    /// - Parameters:
    ///   - lanes: the member's lanes, with the samples of the step.
    ///   - exponents: for each tensor the e of its fixed-point multiplier 2^e.
    func computeStep(
        _ lanes: [LaneRunner], _ state: TrainingState, _ exponents: [Int32], seed: UInt64, _ layout: StepLayout
    ) throws(InputError) {
        sums.update(repeating: 0)
        samples.removeAll(keepingCapacity: true)
        segments.removeAll(keepingCapacity: true)
        for index in self.lanes {
            let first = samples.count
            samples += lanes[index].taken
            segments.append(
                BatchSegment(rows: first..<samples.count, random: lanes[index].random(after: state, seed: seed)))
        }
        guard !samples.isEmpty else { return }
        assembler.assemble(samples, into: &batch)
        let loss = try workspace.computeGradients(
            of: batch, segments: segments, parameters: state.parameters.span)
        var totals = sums.mutableSpan
        loss.add(to: &totals, at: layout.loss)
        sums[layout.weight] = Int64(samples.count)
        for (index, segment) in zip(self.lanes, segments) where !segment.rows.isEmpty {
            lanes[index].addGradient(of: segment, state.parameters.span, exponents, self, layout)
        }
    }

    deinit {
        sums.deallocate()
        metrics.deallocate()
    }
}
