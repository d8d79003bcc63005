import Bytes
package import Cluster
package import Collectives
package import Features
package import Member
package import Models
import Sampling
import Synchronization

/// The training cannot go on, in this or any other round.
package struct TrainingFailure: Error, CustomStringConvertible, Sendable {
    package let description: String
}

/// The round was interrupted from outside.
package struct RoundStopped: Error { package init() {} }

/// One member's part of a data-parallel training: its lanes, summed exactly with the others'. It computes what
/// `MemberMachine` decides, and decides nothing itself.
package final class Trainer {
    private let training: TrainingPlan
    private let schedule: LaneSchedule
    private let model: any TrainableModel
    private let optimizer: any Optimizer
    private let rates: LearningRate
    private let layout: StepLayout
    private let group: any Communicator
    private let members: [String]
    private let lanes: [LaneRunner]
    private var metricSums: MetricSums
    private let stepSums: any AllReduce
    private var metricTotals: any AllReduce
    private var workers: [ThreadWork] = []
    private let team: ThreadTeam
    private let loop: ParallelLoop
    private var barriers = 0
    /// The state after the last step that was applied.
    package private(set) var state: TrainingState

    /// - Parameters:
    ///   - owners: for each lane, the rank of the member that owns it.
    ///   - members: the members' names, by rank.
    ///   - state: where the training goes on, the same on every member.
    ///   - threads: how many compute at once, at most one for each lane.
    /// - Throws: where the other members cannot be reached.
    package init(
        _ data: DataPlan, _ training: TrainingPlan, group: any Communicator, members: [String], owners: [Int],
        state: TrainingState, threads: Int, cache: RowCache
    ) throws {
        let schedule = data.schedule(training)
        self.training = training
        self.schedule = schedule
        self.group = group
        self.members = members
        self.state = state
        let model = try training.model(data.schema)
        self.model = model
        optimizer = training.optimizer.implementation
        rates = LearningRate(
            training.course, base: optimizer.learningRate, batch: training.batch,
            stepsPerEpoch: Int64(schedule.stepsPerEpoch), epochs: training.epochs)
        let count = schedule.lanes.count
        let own = (0..<count).filter { owners[$0] == group.rank }
        let lanes = own.map {
            LaneRunner(data, training, schedule, lane: $0, cache: cache)
        }
        self.lanes = lanes
        let threads = max(1, min(threads, lanes.count))
        let team = ThreadTeam(count: threads)
        self.team = team
        let layout = StepLayout(model.tensors, lanes: count, members: group.size)
        loop =
            layout.count < Self.smallestShared ? .serial : ParallelLoop(count: threads) { team.run($0) }
        self.layout = layout
        let metricSums = MetricSums(model.loss)
        self.metricSums = metricSums
        stepSums = try group.allReduceBuffer(count: layout.count)
        metricTotals = try Self.buffer(metricSums, group)
        workers = try (0..<threads).map { index in
            let share = stride(from: index, to: lanes.count, by: threads).map { $0 }
            let samples = share.reduce(0) { $0 + schedule.step.maxCount(lane: own[$1]) }
            return try ThreadWork(
                model, data.schema, lanes: share, capacity: max(LaneRunner.evaluationBatch, samples), layout: layout,
                metrics: metricSums)
        }
    }

    /// Makes the state from which a round goes on.
    ///
    /// - Parameters:
    ///   - start: what the members decided.
    ///   - own: the state in this member's memory; used if they decided that the member has it.
    ///   - checkpoint: fetches a checkpoint's bytes by their digest.
    package static func restore(
        _ start: RoundStart, _ data: DataPlan, _ training: TrainingPlan, group: any Communicator, own: TrainingState?,
        checkpoint: (String) throws -> [UInt8]
    ) throws -> TrainingState {
        let model = try training.model(data.schema)
        let optimizer = training.optimizer.implementation
        func initial() -> TrainingState {
            TrainingState(model, optimizer, seed: training.seed, keepsBest: training.course.restoresBest)
        }
        func decoded(_ bytes: [UInt8]) throws(InputError) -> TrainingState {
            try Checkpoint.decode(
                bytes, tensors: model.tensors, optimizer, keepsBest: training.course.restoresBest)
        }
        switch start {
        case .initial: return initial()
        case .checkpoint(let digest, _): return try decoded(checkpoint(digest))
        case .own(let step):
            guard let own, own.step == step else {
                throw InputError(
                    .corrupt, "the training state in memory is not the one that was agreed on",
                    expected: "step \(step)", found: own.map { "step \($0.step)" } ?? "none")
            }
            return own
        case .shared(let rank, let step):
            // Whoever does not have it gives bytes of the same length.
            let given = own.flatMap { $0.step == step ? $0 : nil } ?? initial()
            return try decoded(group.broadcast(Checkpoint.encode(given), from: rank))
        }
    }

    /// Waits for the other members where they may be further apart than the sum's deadline.
    private func ready() throws {
        barriers += 1
        guard group.barrier("\(barriers)") else { throw RoundStopped() }
    }

    /// Positions the lanes in an epoch, counted from 0, reads their first rows, and waits until all members have done
    /// so.
    package func startEpoch(_ epoch: Int, stepsDone: Int64) throws {
        for lane in lanes {
            lane.start(epoch: epoch, stepsDone: Int(stepsDone))
            // The first rows now: they may have to be read.
            try lane.take()
            lane.keep()
        }
        try ready()
    }

    /// Runs `body` for each thread's share and rethrows the first error.
    private func parallel(_ body: @Sendable @escaping (ThreadWork) throws -> Void) throws {
        let workers = workers
        if workers.count == 1 { return try body(workers[0]) }
        let failure = Mutex<(any Error)?>(nil)
        team.run { index in
            do { try body(workers[index]) } catch { failure.withLock { $0 = $0 ?? error } }
        }
        if let error = failure.withLock({ $0 }) { throw error }
    }

    // MARK: Steps

    /// Sums fewer than this are faster added and applied by one thread.
    private static let smallestShared = 4096

    /// One update of the model. Until all slices of its sum are there nothing is changed, so that a member whose sum
    /// broke has the state before the step, whole, and the others the state after it.
    ///
    /// - Returns: the mean loss of its rows.
    package func step() throws -> Double {
        let layout = layout
        var exponents = state.exponents
        let seed = training.seed
        // A member of its own has nobody to differ from.
        let digest = group.size > 1 ? state.parameterDigest : 0
        var isRepeated = false
        while true {
            try computeSums(exponents, seed: seed, takesSamples: !isRepeated)
            let buffer = stepSums.values
            gather(into: buffer)
            buffer[layout.digests + group.rank] = digest
            try stepSums.sum()
            try check(UnsafeBufferPointer(buffer).span, digest: digest)
            let coarse = layout.tensors.indices.filter { buffer[layout.overflow + $0] > 0 }
            guard coarse.isEmpty else {
                // The same rows again, with a coarser multiplier.
                for tensor in coarse { exponents[tensor] -= TrainingState.coarserBits }
                isRepeated = true
                continue
            }
            let weight = Double(buffer[layout.weight])
            let loss = model.loss.total(ExactSum(UnsafeBufferPointer(buffer).span, at: layout.loss))
            state.exponents = exponents
            state.addToEpoch(
                loss: loss, weight: buffer[layout.weight],
                isFirst: state.step % max(1, schedule.stepsPerEpoch) == 0)
            state.apply(
                UnsafeBufferPointer(buffer).span, weight: weight, optimizer,
                rate: rates.rate(step: state.step, plateau: state.course.factor), clipNorm: training.course.clipNorm,
                loop: loop)
            return weight > 0 ? loss / weight : 0
        }
    }

    /// Adds the threads' sums, each thread a share of them.
    private func gather(into buffer: UnsafeMutableBufferPointer<Int64>) {
        let target = Summands(buffer)
        let sources = workers.map { Summands($0.sums) }
        loop.run(buffer.indices) { _, own in
            let part = target.part(own)
            _ = part.update(from: sources[0].part(own))
            for source in sources.dropFirst() { FixedPoint.add(UnsafeBufferPointer(source.part(own)).span, to: part) }
        }
    }

    /// Arrays that threads share in parts.
    // SAFETY: each thread has a range of its own, and nobody else writes while they run.
    private struct Summands: @unchecked Sendable {
        private let values: UnsafeMutableBufferPointer<Int64>

        init(_ values: UnsafeMutableBufferPointer<Int64>) { self.values = values }

        func part(_ range: Range<Int>) -> UnsafeMutableBufferPointer<Int64> {
            UnsafeMutableBufferPointer(rebasing: values[range])
        }
    }

    /// Has each thread compute the sums of its lanes. No reference to the state is left behind: the update overwrites
    /// it without a copy.
    private func computeSums(_ exponents: [Int32], seed: UInt64, takesSamples: Bool) throws {
        let (layout, lanes, state) = (layout, lanes, state)
        try parallel { work in
            if takesSamples { for index in work.lanes { try lanes[index].take() } }
            try work.computeStep(lanes, state, exponents, seed: seed, layout)
        }
    }

    /// Checks that all members had the same parameters and finite gradients.
    private func check(_ sums: Span<Int64>, digest: Int64) throws {
        for rank in 0..<group.size where sums[layout.digests + rank] != digest {
            throw TrainingFailure(
                description:
                    "the weights of \(members[rank]) and of \(members[group.rank]) differ before step \(state.step)")
        }
        for lane in 0..<schedule.lanes.count where sums[layout.nonfinite + lane] > 0 {
            let tensor = layout.tensors[Int(sums[layout.nonfinite + lane]) - 1]
            throw TrainingFailure(
                description:
                    "the training diverged: the gradient of \(tensor.name) is not finite in step \(state.step), "
                    + "lane \(lane); try a smaller learning rate")
        }
    }

    // MARK: Evaluation

    /// Computes the metrics of a part with all members.
    ///
    /// - Parameter isStopped: asked before each lane; true ends the computation with `RoundStopped`.
    package func evaluate(_ part: SplitPart, isStopped: @escaping @Sendable () -> Bool) throws -> PartMetrics {
        try sum(part, .epoch, state.parameters, isStopped)
        return metricSums.metrics(UnsafeBufferPointer(metricTotals.values).span)
    }

    /// Lets the state take the metrics of the validation part at an epoch's end; once, however often they are computed.
    ///
    /// - Returns: whether the training ends here, before its last epoch.
    package func endEpoch(_ validation: PartMetrics) -> Bool {
        state.endEpoch(epoch, validation, training.course)
        return state.course.isOver(training.course)
    }

    /// Whole epochs that the state has seen.
    private var epoch: Int { Int(state.step / Int64(max(1, schedule.stepsPerEpoch))) }

    /// Computes the report of the model with all members: a pass over the training part and one over the test part.
    ///
    /// - Parameter isStopped: asked before each lane; true ends the computation with `RoundStopped`.
    /// - Returns: the report, and the values beyond the padding that were left out of the features of all members.
    package func report(isStopped: @escaping @Sendable () -> Bool) throws -> (EvaluationReport, truncated: Int64) {
        let parameters = state.finalParameters
        try sum(.train, .report, parameters, isStopped)
        let train = [Int64](metricTotals.values)
        try sum(.test, .report, parameters, isStopped)
        let test = UnsafeBufferPointer(metricTotals.values)
        var report = EvaluationReport(metricSums, train: train.span, test: test.span)
        report.epoch = state.isBestRestored ? state.course.bestEpoch : epoch
        return (report, test[metricSums.callerSlot])
    }

    /// Sums a part's metrics over all members, into `metricTotals`.
    private func sum(
        _ part: SplitPart, _ detail: MetricSums.Detail, _ parameters: [Float],
        _ isStopped: @escaping @Sendable () -> Bool
    ) throws {
        try prepare(detail)
        let lanes = lanes
        let sums = metricSums
        try parallel { work in
            work.reset(sums)
            for index in work.lanes {
                if isStopped() { throw RoundStopped() }
                try lanes[index].evaluate(part, parameters, work, sums)
            }
        }
        let buffer = metricTotals.values
        for index in 0..<sums.count { buffer[index] = workers.reduce(0) { $0 + $1.metrics[index] } }
        try ready()
        try metricTotals.sum()
        guard buffer[sums.nanCount] == 0 else {
            throw TrainingFailure(
                description:
                    """
                    \(buffer[sums.nanCount]) events of the \(part) part have a score that is no number, or is too far \
                    from the target to be counted, after step \(state.step): the weights or some values are too \
                    large; try a smaller learning rate, or drop the branch
                    """)
        }
    }

    /// A buffer for sums of metrics; those of a target are few, and zeros follow them.
    private static func buffer(_ sums: MetricSums, _ group: any Communicator) throws(InputError) -> any AllReduce {
        try group.allReduceBuffer(count: max(ProcessGroup.minBufferCount, sums.count))
    }

    /// Makes the sums of metrics those of this detail. All members do so at the same point of the round.
    private func prepare(_ detail: MetricSums.Detail) throws {
        guard metricSums.detail != detail else { return }
        let sums = MetricSums(model.loss, detail: detail)
        try ready()
        metricTotals = try Self.buffer(sums, group)
        metricSums = sums
    }
}
