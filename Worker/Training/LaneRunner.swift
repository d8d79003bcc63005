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
    private let cache: RowCache
    private let assembler: BatchAssembler
    private var order: LaneOrder?
    /// The next step of the epoch.
    private var step = 0
    /// The samples of the step under way.
    private(set) var taken: [Sample] = []
    private var kept = false
    /// For each of the lane's pieces the samples of its block, while some of them are under way.
    private var held: [EventSamples?]

    init(
        _ data: DataPlan, _ training: TrainingPlan, _ schedule: LaneSchedule, lane: Int, cache: RowCache
    ) {
        self.data = data
        self.training = training
        self.schedule = schedule
        self.lane = lane
        self.cache = cache
        assembler = BatchAssembler(data.schema)
        held = .init(repeating: nil, count: schedule.lanes[lane].count)
    }

    func start(epoch: Int, stepsDone: Int) {
        order = schedule.order(ofLane: lane, epoch: epoch, stepsDone: stepsDone)
        step = stepsDone
        kept = false
        for piece in held.indices { held[piece] = nil }
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
        let pieces = schedule.lanes[lane]
        for _ in 0..<schedule.step.count(lane: lane, step: step) {
            guard let next = order?.next() else { break }
            let piece = Int(next.piece)
            let samples: EventSamples
            if let known = held[piece] {
                samples = known
            } else {
                samples = try events(pieces[piece].block)[.train]
                held[piece] = samples
            }
            samples.prefetch(Int(next.row))
            taken.append(Sample(samples, Int(next.row)))
            if order?.isFinished(next.piece) == true { held[piece] = nil }
        }
        step += 1
    }

    /// The samples of a block, with labels that the model has classes for.
    private func events(_ block: Int) throws(InputError) -> EventStore {
        let events = try cache.events(block)
        try training.checkLabels(events, of: block, in: data)
        return events
    }

    /// The key of the lane's random numbers in the step after this state.
    func random(after state: TrainingState, seed: UInt64) -> UInt64 {
        RandomStream.dropout.key(seed: seed, UInt64(bitPattern: state.step), UInt64(lane))
    }

    /// Adds the fixed-point sum of a segment's gradients.
    func addGradient(
        of segment: BatchSegment, _ parameters: Span<Float>, _ exponents: [Int32], _ work: ThreadWork,
        _ layout: StepLayout
    ) {
        let workspace = work.workspace
        let gradient = workspace.gradient(of: segment, parameters: parameters)
        for (tensor, range) in layout.ranges.enumerated() {
            var own = UnsafeMutableBufferPointer(rebasing: work.sums[range]).mutableSpan
            switch FixedPoint.add(gradient.extracting(range), to: &own, exponent: exponents[tensor]) {
            case .added: break
            case .overflow: work.sums[layout.overflow + tensor] += 1
            case .nonfinite:
                if work.sums[layout.nonfinite + lane] == 0 { work.sums[layout.nonfinite + lane] = Int64(tensor + 1) }
            }
        }
    }

    /// The number of samples that an evaluation computes at once.
    static let evaluationBatch = TrainingPlan.minSamples

    /// Adds the metrics of the lane's samples of a part.
    func evaluate(
        _ part: SplitPart, _ parameters: [Float], _ work: ThreadWork, _ sums: MetricSums
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
                try addMetrics(parameters, work, sums)
            }
        }
    }

    private func addMetrics(_ parameters: [Float], _ work: ThreadWork, _ sums: MetricSums) throws(InputError) {
        let workspace = work.workspace
        let scores = try workspace.scores(of: work.batch, parameters: parameters.span)
        var totals = work.metrics.mutableSpan
        sums.add(scores, work.batch, to: &totals)
    }
}
