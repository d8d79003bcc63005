import Bytes
import Cluster
import Features
import Models
import Sampling

/// One lane: gives its rows in order, and computes on them. Its results do not depend on which member or thread it
/// runs on.
// SAFETY: a lane belongs to one member, and there to one thread's share. Trainer waits until all shares of an operation
// are done before it goes on, and makes all other calls itself, one at a time.
final class LaneRunner: @unchecked Sendable {
    private let data: DataPlan
    private let training: TrainingPlan
    private let schedule: LaneSchedule
    private let lane: Int
    private let batch: Int
    private let cache: RowCache
    private let assembler: BatchAssembler
    /// Fixed-point numbers stay below this in size, so that L lanes cannot wrap.
    private let limit: Double
    private var order: LaneOrder?
    private var taken: [RowReference] = []
    private var kept = false
    /// The blocks of the windows under way.
    private var held: [Int: EventSamples] = [:]

    init(
        _ data: DataPlan, _ training: TrainingPlan, _ schedule: LaneSchedule, lane: Int, cache: RowCache
    ) {
        self.data = data
        self.training = training
        self.schedule = schedule
        self.lane = lane
        batch = schedule.batch(ofLane: lane)
        self.cache = cache
        assembler = BatchAssembler(data.schema)
        limit = FixedPoint.limit(lanes: schedule.lanes.count)
    }

    func start(epoch: Int, stepsDone: Int) {
        order = schedule.order(ofLane: lane, epoch: epoch, stepsDone: stepsDone)
        kept = false
    }

    /// The same rows once more in the next `take`.
    func keep() { kept = true }

    /// Takes the next step's rows and makes sure that their blocks are at hand.
    func take() throws(InputError) {
        if kept {
            kept = false
            return
        }
        taken.removeAll(keepingCapacity: true)
        while taken.count < batch, let row = order?.next() { taken.append(row) }
        if held.count > 4 * LaneOrder.window * max(1, schedule.datasets) { held.removeAll(keepingCapacity: true) }
        for row in taken where held[row.block] == nil { held[row.block] = try events(row.block)[.train] }
    }

    /// The samples of a block, with labels that the model has classes for.
    private func events(_ block: Int) throws(InputError) -> EventStore {
        let events = try cache.events(block)
        try training.checkLabels(events, of: block, in: data)
        return events
    }

    /// Adds the fixed-point sum of the taken samples' gradients, their loss and their weight.
    func addGradient(
        _ state: TrainingState, seed: UInt64, _ work: ThreadWork, _ layout: StepLayout
    ) throws(InputError) {
        guard !taken.isEmpty else { return }
        let workspace = work.workspace
        let sums = work.sums
        let samples = taken.compactMap { row in held[row.block].map { Sample($0, row.row) } }
        assembler.assemble(samples, into: &work.batch)
        let random = RandomStream.dropout.key(seed: seed, UInt64(bitPattern: state.step), UInt64(lane))
        sums[layout.loss] += try workspace.computeGradient(
            of: work.batch, parameters: state.parameters.span, random: random)
        sums[layout.weight] += Int64(samples.count)
        let gradient = workspace.gradient
        for (tensor, range) in layout.ranges.enumerated() {
            var own = UnsafeMutableBufferPointer(rebasing: sums[range]).mutableSpan
            switch FixedPoint.add(
                gradient.extracting(range), to: &own, exponent: state.exponents[tensor], limit: limit)
            {
            case .added: break
            case .overflow: sums[layout.overflow + tensor] += 1
            case .nonfinite:
                if sums[layout.nonfinite + lane] == 0 { sums[layout.nonfinite + lane] = Int64(tensor + 1) }
            }
        }
    }

    /// The number of samples that an evaluation computes at once.
    static let evaluationBatch = 256

    /// Adds the metrics of the lane's samples of a part.
    func evaluate(
        _ part: SplitPart, _ state: TrainingState, _ work: ThreadWork, _ sums: MetricSums
    ) throws(InputError) {
        if part == .test {
            // What was left out of a block is counted by the first lane that has a piece of it.
            for block in schedule.ownedBlocks[lane] {
                work.metrics[sums.callerSlot] += try cache.events(block).truncated
            }
        }
        for piece in schedule.lanes[lane] {
            let range = piece.rows[part]
            guard !range.isEmpty else { continue }
            let samples = try events(piece.block)[part]
            for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.evaluationBatch) {
                let end = min(start + Self.evaluationBatch, range.upperBound)
                assembler.assemble(start..<end, of: samples, into: &work.batch)
                try addMetrics(state, work, sums)
            }
        }
    }

    private func addMetrics(_ state: TrainingState, _ work: ThreadWork, _ sums: MetricSums) throws(InputError) {
        let workspace = work.workspace
        let scores = try workspace.scores(of: work.batch, parameters: state.parameters.span)
        var totals = work.metrics.mutableSpan
        for sample in 0..<work.batch.sampleCount {
            sums.add(scores, sample: sample, label: work.batch.labels[sample], to: &totals)
        }
    }
}
