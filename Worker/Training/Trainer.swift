import Bytes
import Cluster
import Collectives
import Dispatch
import Features
import Models
import Sampling
import Synchronization

/// What a round tells while it trains.
package protocol TrainingObserver: Sendable {
    /// Asked between steps; true ends the round at once.
    var isStopped: Bool { get }
    /// After each step.
    func stepped(_ state: TrainingState, epoch: Int, stepsPerEpoch: Int64, loss: Double)
    /// One epoch ended; at a round's beginning, all that the coordinator may not know of, at once.
    func finishedEpochs(_ state: TrainingState, _ metrics: [EpochMetrics])
    func finished(_ state: TrainingState, test: PartMetrics, truncated: Int64)
    /// The member does something else now.
    func entered(_ phase: RoundPhase)
}

/// What a member keeps from round to round.
package struct TrainingMemory: Sendable, Equatable {
    package var state: TrainingState
    /// Of the epochs that ended since the coordinator's checkpoint, as far as this member knows.
    package var epochs: [EpochMetrics] = []

    package init(_ state: TrainingState) { self.state = state }
}

/// How a round begins: who is in it, who owns which lane, and what there is to go on from.
package struct RoundPlan: Sendable {
    package var members: [String]
    /// For each lane, the rank that owns it.
    package var owners: [Int]
    /// What this member has from an earlier round.
    package var memory: TrainingMemory?
    /// The step of the coordinator's checkpoint, and how to get it.
    package var checkpointStep: Int64?
    /// Epochs whose metrics the coordinator has.
    package var epochs: Int
    package var checkpoint: @Sendable () throws -> [UInt8]

    package init(
        members: [String], owners: [Int], memory: TrainingMemory? = nil, checkpointStep: Int64? = nil, epochs: Int = 0,
        checkpoint: @escaping @Sendable () throws -> [UInt8] = { [] }
    ) {
        self.members = members
        self.owners = owners
        self.memory = memory
        self.checkpointStep = checkpointStep
        self.epochs = epochs
        self.checkpoint = checkpoint
    }
}

/// Training can not go on, in this or any other round.
package struct TrainingFailure: Error, CustomStringConvertible, Sendable {
    package let description: String
}

/// The round was given up from outside.
package struct RoundStopped: Error { package init() {} }

/// One member's part of a data-parallel training: its lanes, summed exactly with the others'.
package final class Trainer {
    private let training: TrainingPlan
    private let schedule: LaneSchedule
    private let network: Network
    private let group: any Communicator
    private let members: [String]
    private let epochsKnown: Int
    private let lanes: [LaneRunner]
    private let threads: Int
    private let stepsPerEpoch: Int64
    private let metricSums: MetricSums
    private let stepSums: any AllReduce
    private let metricTotals: any AllReduce
    private var workers: [ThreadWork] = []
    private var barriers = 0
    package private(set) var memory: TrainingMemory
    private var state: TrainingState { memory.state }

    package init(
        _ data: DataPlan, _ training: TrainingPlan, group: any Communicator, plan: RoundPlan, threads: Int,
        cache: RowCache
    ) throws {
        let schedule = data.schedule(training)
        self.training = training
        self.schedule = schedule
        self.group = group
        members = plan.members
        epochsKnown = plan.epochs
        let network = Network(inputs: data.schema.flatWidth, layers: training.layers)
        self.network = network
        memory = try Self.start(training, schedule, network, group, plan)
        let count = schedule.lanes.count
        let batches = (0..<count).map(schedule.batch(ofLane:))
        let lanes = (0..<count).filter { plan.owners[$0] == group.rank }.map {
            LaneRunner(data, training, schedule, lane: $0, network: network, cache: cache)
        }
        self.lanes = lanes
        stepsPerEpoch = schedule.stepsPerEpoch
        let threads = max(1, min(threads, lanes.count))
        self.threads = threads
        metricSums = MetricSums(outputs: network.outputs)
        stepSums = try group.allReduceBuffer(count: StepLayout(network, lanes: count, members: group.size).count)
        metricTotals = try group.allReduceBuffer(count: metricSums.count)
        let evaluation = 256
        workers = (0..<threads).map { index in
            ThreadWork(
                network, data.schema, lanes: stride(from: index, to: lanes.count, by: threads).map { $0 },
                capacity: max(evaluation, batches.max() ?? 1),
                layout: StepLayout(network, lanes: count, members: group.size))
        }
    }

    /// Each member tells what it has; all go on from the newest step that any of them has.
    private static func start(
        _ training: TrainingPlan, _ schedule: LaneSchedule, _ network: Network, _ group: any Communicator,
        _ plan: RoundPlan
    ) throws -> TrainingMemory {
        let own =
            plan.memory.map {
                RoundStatement(
                    step: $0.state.step, digest: $0.state.wholeDigest,
                    epochs: $0.epochs.filter { $0.epoch > plan.epochs })
            }
            ?? RoundStatement(step: -1, digest: "", epochs: [])
        guard let statements = group.allGather(own) else { throw RoundStopped() }
        let decision: RoundStart
        do { decision = try RoundStart.decide(statements, checkpoint: plan.checkpointStep) } catch {
            let names = error.ranks.map { plan.members[$0] }.joined(separator: " and ")
            throw TrainingFailure(
                description: "the training states after step \(error.step) differ: those of \(names) are not the same")
        }
        var memory: TrainingMemory
        switch decision {
        case .beginning: memory = TrainingMemory(TrainingState(network, training, seed: training.seed))
        case .checkpoint: memory = TrainingMemory(try Checkpoint.decode(plan.checkpoint(), for: network))
        case .member(let rank, let step):
            memory =
                plan.memory?.state.step == step
                ? plan.memory! : TrainingMemory(TrainingState(network, training, seed: 0))
            if statements.contains(where: { $0.step < step }) {
                let bytes = try group.broadcast(Checkpoint.encode(memory.state), from: rank)
                memory.state = try Checkpoint.decode(bytes, for: network)
            }
        }
        memory.epochs = RoundStart.epochs(statements).filter {
            $0.epoch > plan.epochs && Int64($0.epoch) * schedule.stepsPerEpoch <= memory.state.step
        }
        return memory
    }

    /// Trains to the end, or until the observer stops it.
    package func run(_ observer: some TrainingObserver) throws {
        guard stepsPerEpoch > 0 else { throw TrainingFailure(description: "no event is in the training part") }
        // What a member knew that left before the coordinator did.
        if !memory.epochs.isEmpty { observer.finishedEpochs(state, memory.epochs) }
        var epoch = Int(state.step / stepsPerEpoch)
        if epoch > 0, state.step % stepsPerEpoch == 0, !isEvaluated(epoch) { try finishEpoch(epoch, observer) }
        while epoch < training.epochs {
            try startEpoch(epoch)
            try ready()
            observer.entered(.training)
            while state.step < Int64(epoch + 1) * stepsPerEpoch {
                if observer.isStopped { throw RoundStopped() }
                let loss = try step()
                observer.stepped(state, epoch: epoch, stepsPerEpoch: stepsPerEpoch, loss: loss)
            }
            epoch += 1
            try finishEpoch(epoch, observer)
        }
        observer.entered(.evaluating)
        let test = try evaluate(.test, observer)
        observer.finished(state, test: test, truncated: metricTotals.values[metricSums.free])
    }

    private func isEvaluated(_ epoch: Int) -> Bool {
        epoch <= epochsKnown || memory.epochs.contains { $0.epoch == epoch }
    }

    private func finishEpoch(_ epoch: Int, _ observer: some TrainingObserver) throws {
        observer.entered(.evaluating)
        let metrics = EpochMetrics(
            epoch: epoch, train: try evaluate(.train, observer), validation: try evaluate(.validation, observer))
        memory.epochs.append(metrics)
        observer.finishedEpochs(state, [metrics])
    }

    /// Waits for the other members where their ways may differ by more than the sum's deadline.
    private func ready() throws {
        barriers += 1
        guard group.barrier("\(barriers)") else { throw RoundStopped() }
    }

    private func startEpoch(_ epoch: Int) throws {
        let done = Int(state.step - Int64(epoch) * stepsPerEpoch)
        for lane in lanes {
            lane.start(epoch: epoch, stepsDone: done)
            // The first rows now: they may have to be read.
            try lane.take()
            lane.keep()
        }
    }

    /// Runs `body` for each thread's share and rethrows the first error.
    private func parallel(_ body: @Sendable @escaping (ThreadWork) throws -> Void) throws {
        let workers = workers
        if workers.count == 1 { return try body(workers[0]) }
        let failure = Mutex<(any Error)?>(nil)
        DispatchQueue.concurrentPerform(iterations: workers.count) { index in
            do { try body(workers[index]) } catch { failure.withLock { $0 = $0 ?? error } }
        }
        if let error = failure.withLock({ $0 }) { throw error }
    }

    // MARK: Steps

    /// One update of the model. Until all slices of its sum are there nothing is changed, so that a member whose sum broke has the state
    /// before the step, whole, and the others the state after it.
    ///
    /// - Returns: the mean loss of its rows.
    private func step() throws -> Double {
        let layout = StepLayout(network, lanes: schedule.lanes.count, members: group.size)
        let lanes = lanes
        var trial = state
        let seed = training.seed
        for lane in lanes { try lane.take() }
        while true {
            let tried = trial
            try parallel { work in
                work.sums.update(repeating: 0)
                for index in work.lanes { lanes[index].addGradient(tried, seed: seed, work, layout) }
            }
            let buffer = stepSums.values
            for place in buffer.indices { buffer[place] = workers.reduce(0) { $0 &+ $1.sums[place] } }
            buffer[layout.digests + group.rank] = state.digest
            try stepSums.sum()
            try check(buffer, layout)
            let coarse = network.tensors.indices.filter { buffer[layout.overflow + $0] > 0 }
            guard coarse.isEmpty else {
                // The same rows again, with a coarser multiplier.
                for tensor in coarse { trial.coarsen(tensor: tensor) }
                continue
            }
            let weight = Double(buffer[layout.weight])
            trial.apply(UnsafePointer(buffer.baseAddress!), weight: weight, training.optimizer, network)
            memory.state = trial
            return weight > 0 ? Double(buffer[layout.loss]) / 4_294_967_296 / weight : 0
        }
    }

    private func check(_ buffer: UnsafeMutableBufferPointer<Int64>, _ layout: StepLayout) throws {
        for rank in 0..<group.size where buffer[layout.digests + rank] != state.digest {
            throw TrainingFailure(
                description:
                    "the weights differ before step \(state.step): those of \(members[rank]) and of \(members[group.rank]) are not the same"
            )
        }
        for lane in 0..<schedule.lanes.count where buffer[layout.nonfinite + lane] > 0 {
            let tensor = Int(buffer[layout.nonfinite + lane]) - 1
            throw TrainingFailure(
                description:
                    "training diverged: the gradient is not finite in step \(state.step), lane \(lane), tensor \(tensor) "
                    + "(\(tensor % 2 == 0 ? "weights" : "biases") of dense layer \(tensor / 2 + 1)); try a smaller learning rate"
            )
        }
    }

    // MARK: Evaluation

    private func evaluate(_ part: SplitPart, _ observer: some TrainingObserver) throws -> PartMetrics {
        let lanes = lanes
        let state = state
        let sums = metricSums
        try parallel { work in
            work.metrics.update(repeating: 0)
            for index in work.lanes {
                if observer.isStopped { throw RoundStopped() }
                try lanes[index].evaluate(part, state, work, sums)
            }
        }
        let buffer = metricTotals.values
        for place in buffer.indices { buffer[place] = workers.reduce(0) { $0 + $1.metrics[place] } }
        try ready()
        try metricTotals.sum()
        guard buffer[sums.broken] == 0 else {
            throw TrainingFailure(
                description:
                    "\(buffer[sums.broken]) events of the \(part) part have a score that is no number after step \(state.step): "
                    + "the weights or some values are too large; try a smaller learning rate, or drop the branch")
        }
        return sums.metrics(UnsafePointer(buffer.baseAddress!))
    }
}

/// Where things lie in the numbers that one step sums.
struct StepLayout: Sendable {
    let loss: Int
    let weight: Int
    let overflow: Int
    let nonfinite: Int
    let digests: Int
    let count: Int

    init(_ network: Network, lanes: Int, members: Int) {
        loss = network.parameterCount
        weight = loss + 1
        overflow = weight + 1
        nonfinite = overflow + network.tensors.count
        digests = nonfinite + lanes
        count = max(ProcessGroup.minBufferCount, digests + members)
    }
}

/// One thread's arrays, and the lanes it works on.
final class ThreadWork: @unchecked Sendable {
    let lanes: [Int]
    let workspace: Workspace
    var batch: Batch
    let sums: UnsafeMutableBufferPointer<Int64>
    let metrics: UnsafeMutableBufferPointer<Int64>

    init(_ network: Network, _ schema: DataSchema, lanes: [Int], capacity: Int, layout: StepLayout) {
        self.lanes = lanes
        workspace = Workspace(network, capacity: capacity)
        batch = Batch(schema, capacity: capacity)
        sums = .allocate(capacity: layout.count)
        metrics = .allocate(capacity: MetricSums(outputs: network.outputs).count)
        sums.initialize(repeating: 0)
        metrics.initialize(repeating: 0)
    }

    deinit {
        sums.deallocate()
        metrics.deallocate()
    }
}
