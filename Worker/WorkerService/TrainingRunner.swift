import Bytes
import Cluster
import Collectives
import Dispatch
import Features
import Foundation
import Logging
import Models
import Pipeline
import Synchronization
import Training
import Wire

/// Takes part in training rounds: one at a time, on threads of its own.
final class TrainingRunner: Sendable {
    private let settings: WorkerService.Settings
    private let resources: ReadResources
    /// Reading waits for sites: more threads than cores.
    private let threads: TaskThreads
    private let outbox: Outbox
    private let log: Logger
    private let queue = DispatchQueue(label: "beamline.training")
    private let current = Mutex<RoundAttempt?>(nil)
    /// The samples of one data plan, and the state of one training, kept from round to round.
    private let kept = Mutex<(dataPlan: String, cache: RowCache)?>(nil)
    private let memory = Mutex<(order: RoundOrder, memory: TrainingMemory)?>(nil)
    /// The newest round that this member left by itself, and what it said then.
    private let left = Mutex<(round: RoundNumber, report: TrainingReport)?>(nil)

    init(settings: WorkerService.Settings, resources: ReadResources, outbox: Outbox, log: Logger) {
        self.settings = settings
        self.resources = resources
        threads = TaskThreads(settings.threads + settings.readAhead)
        self.outbox = outbox
        self.log = log
    }

    /// The same order may come more than once.
    func start(_ order: RoundOrder, _ blobs: BlobClient) {
        if let left = left.withLock({ $0 }), left.round == order.round {
            return outbox.send(.training(round: left.round, left.report))
        }
        let attempt = RoundAttempt(order, outbox: outbox, blobs: blobs)
        let isNew = current.withLock { current in
            guard current.map({ $0.order.round < order.round }) ?? true else { return false }
            current?.stop()
            current = attempt
            outbox.inRound(Heartbeat.InRound(round: order.round, phase: .loading, step: 0))
            return true
        }
        // The queue is serial: the round before has left its context when this one begins.
        if isNew { queue.async { [self] in run(attempt, blobs) } }
    }

    /// - Parameter round: nil stops whatever runs.
    func stop(round: RoundNumber? = nil) {
        current.withLock { current in
            guard let attempt = current, round == nil || attempt.order.round == round else { return }
            attempt.stop()
            current = nil
            outbox.inRound(nil)
        }
    }

    func rendezvous(round: RoundNumber, key: String, value: [UInt8]) {
        current.withLock { if $0?.order.round == round { $0?.arrived(key, value) } }
    }

    private func run(_ attempt: RoundAttempt, _ blobs: BlobClient) {
        guard !attempt.isStopped else { return }
        let order = attempt.order
        var inputs: [InputTree] = []
        do {
            guard order.kernels == LinearAlgebra.kernels else {
                throw InputError(
                    .input, "the round's kernels are not this worker's", expected: LinearAlgebra.kernels,
                    found: order.kernels)
            }
            let known = memory.withLock { $0 }
            let data = try WireCoding.value(
                DataPlan.self, Data(try blocking { try await blobs.get(order.dataPlan) }))
            let training = try WireCoding.value(
                TrainingPlan.self, Data(try blocking { try await blobs.get(order.trainingPlan) }))
            inputs = data.inputs
            let cache = cache(order.dataPlan, data)
            try preload(data, training, order, cache, attempt)
            log.info("training round \(order.round): member \(order.rank + 1) of \(order.members.count)")
            attempt.entered(.connecting)
            let group = try ProcessGroup(
                rank: order.rank, size: order.members.count, host: settings.host, timeout: 30, rendezvous: attempt)
            let plan = RoundPlan(
                members: order.members, owners: order.owners,
                memory: known.flatMap { $0.order.isSameTraining(as: order) ? $0.memory : nil },
                checkpointStep: order.checkpoint.map { _ in order.checkpointStep }, epochs: order.epochs,
                checkpoint: { try blocking { try await blobs.get(order.checkpoint ?? "") } })
            let trainer = try Trainer(
                data, training, group: group, plan: plan, threads: settings.threads, cache: cache)
            // Whatever ends the round, what was trained is not lost.
            defer { memory.withLock { $0 = (order, trainer.memory) } }
            try trainer.run(attempt)
            attempt.drain()
        } catch is RoundStopped {
            attempt.drain()
        } catch let failure as TrainingFailure {
            leave(attempt, .failed(reason: failure.description, fatal: true, input: nil))
        } catch {
            let file = (error as? InputError)?.file
            let input = file.flatMap { file in inputs.firstIndex { $0.file.urls.contains(file) } }
            let fatal = (error as? InputError)?.code == .input
            if !attempt.isStopped { leave(attempt, .failed(reason: "\(error)", fatal: fatal, input: input)) }
        }
    }

    /// This member cannot go on.
    private func leave(_ attempt: RoundAttempt, _ report: TrainingReport) {
        left.withLock { $0 = (attempt.order.round, report) }
        attempt.report(report)
        stop(round: attempt.order.round)
    }

    /// The samples of a data plan; those of another are dropped.
    private func cache(_ digest: String, _ data: DataPlan) -> RowCache {
        kept.withLock { kept in
            if let kept, kept.dataPlan == digest { return kept.cache }
            let resources = resources
            let roots = settings.localRoots
            let cache = RowCache(limit: settings.cacheBytes) { (index) throws(InputError) in
                try BlockReader(resources, localRoots: roots).events(
                    data.blocks[index], of: data.inputs[data.blocks[index].input], data.schema,
                    labelBranch: data.labelBranch, split: data.split)
            }
            kept = (digest, cache)
            return cache
        }
    }

    /// Reads the own lanes' blocks before the members connect, so that none waits for another's site in a step.
    private func preload(
        _ data: DataPlan, _ training: TrainingPlan, _ order: RoundOrder, _ cache: RowCache, _ attempt: RoundAttempt
    ) throws {
        let lanes = data.lanes.indices.filter { order.owners[$0] == order.rank }
        let blocks = Set(lanes.flatMap { data.lanes[$0].map(\.block) }).sorted()
        let failure = Mutex<InputError?>(nil)
        threads.forEach(blocks.count) { index in
            guard !attempt.isStopped, !cache.isFull, failure.withLock({ $0 == nil }) else { return }
            do throws(InputError) {
                try training.checkLabels(try cache.events(blocks[index]), of: blocks[index], in: data)
            } catch { failure.withLock { $0 = error } }
        }
        if let error = failure.withLock({ $0 }) { throw error }
        if attempt.isStopped { throw RoundStopped() }
    }
}
