import Bytes
import Cluster
import Collectives
import Dispatch
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
    private let intake: Intake
    /// Reading waits for sites: more threads than cores.
    private let threads: TaskThreads
    private let outbox: Outbox
    private let log: Logger
    private let queue = DispatchQueue(label: "beamline.training")
    private let current = Mutex<RoundAttempt?>(nil)
    /// The rows of one manifest, kept from round to round.
    private let rows = Mutex<(manifest: String, cache: RowCache)?>(nil)

    init(settings: WorkerService.Settings, intake: Intake, outbox: Outbox, log: Logger) {
        self.settings = settings
        self.intake = intake
        threads = TaskThreads(settings.threads + settings.readAhead)
        self.outbox = outbox
        self.log = log
    }

    func start(_ order: RoundOrder, _ blobs: BlobClient) {
        let attempt = RoundAttempt(order, outbox: outbox, blobs: blobs)
        current.withLock { current in
            current?.stop()
            current = attempt
        }
        // The queue is serial: the round before has left its context when this one begins.
        queue.async { [self] in run(attempt, blobs) }
    }

    /// - Parameter round: nil stops whatever runs.
    func stop(round: Int64? = nil) {
        current.withLock { current in
            guard let attempt = current, round == nil || attempt.order.round == round else { return }
            attempt.stop()
            current = nil
        }
    }

    func rendezvous(round: Int64, key: String, value: [UInt8]) {
        current.withLock { if $0?.order.round == round { $0?.arrived(key, value) } }
    }

    private func run(_ attempt: RoundAttempt, _ blobs: BlobClient) {
        guard !attempt.isStopped else { return }
        let order = attempt.order
        do {
            let manifest = try WireCoding.value(TrainingManifest.self, Data(try blocking { try await blobs.get(order.manifest) }))
            let checkpoint = try order.checkpoint.map { digest in try blocking { try await blobs.get(digest) } }
            let cache = cache(order.manifest, manifest)
            try preload(manifest, order, cache, attempt)
            log.info("training round \(order.round): member \(order.rank + 1) of \(order.members.count)")
            let round = try Round(rank: order.rank, size: order.members.count, host: settings.host, timeout: 30, rendezvous: attempt)
            let trainer = try Trainer(
                manifest, round: round, members: order.members, threads: settings.threads, cache: cache, checkpoint: checkpoint)
            try trainer.run(attempt)
            attempt.drain()
        } catch is RoundStopped {
            attempt.drain()
        } catch let error as FormatError where error.code == .input {
            attempt.report(.failed(reason: error.description, fatal: true))
        } catch let failure as TrainingFailure {
            attempt.report(.failed(reason: failure.description, fatal: true))
        } catch {
            if !attempt.isStopped { attempt.report(.failed(reason: "\(error)", fatal: false)) }
        }
    }

    private func cache(_ digest: String, _ manifest: TrainingManifest) -> RowCache {
        rows.withLock { rows in
            if let rows, rows.manifest == digest { return rows.cache }
            let intake = intake
            let roots = settings.localRoots
            let cache = RowCache(limit: settings.cacheBytes) { (index) throws(FormatError) in
                let rows = try BlockReader(intake, localRoots: roots).rows(
                    manifest.blocks[index], of: manifest.inputs[manifest.blocks[index].input], manifest.schema, labelBranch: manifest.labelBranch, split: manifest.split)
                try Self.check(rows, manifest, manifest.blocks[index])
                return rows
            }
            rows = (digest, cache)
            return cache
        }
    }

    /// Labels from a branch are known only when it is read.
    private static func check(_ rows: BlockRows, _ manifest: TrainingManifest, _ block: TrainingBlock) throws(FormatError) {
        guard case .dense(let units, _)? = manifest.training.layers.last else { return }
        let classes = max(2, units)
        for label in rows.labels.joined() where label >= classes {
            throw FormatError(
                .input, "a label has no unit in the last layer", file: manifest.inputs[block.input].file.url, object: manifest.labelBranch,
                expected: "labels below \(classes)", found: "\(label)")
        }
    }

    /// Reads the own lanes' blocks before the members connect, so that none waits for another's site in a step.
    private func preload(_ manifest: TrainingManifest, _ order: RoundOrder, _ cache: RowCache, _ attempt: RoundAttempt) throws {
        let lanes = manifest.lanes.indices.filter { $0 % order.members.count == order.rank }
        let blocks = Set(lanes.flatMap { manifest.lanes[$0].map(\.block) }).sorted()
        let failure = Mutex<FormatError?>(nil)
        threads.forEach(blocks.count) { index in
            guard !attempt.isStopped, !cache.isFull, failure.withLock({ $0 == nil }) else { return }
            do throws(FormatError) { _ = try cache.rows(blocks[index]) } catch { failure.withLock { $0 = error } }
        }
        if let error = failure.withLock({ $0 }) { throw error }
        if attempt.isStopped { throw RoundStopped() }
    }
}

/// Waits on a thread that is not of the cooperative pool.
func blocking<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) throws -> T {
    let result = Mutex<Result<T, any Error>?>(nil)
    let done = DispatchSemaphore(value: 0)
    Task {
        do {
            let value = try await body()
            result.withLock { $0 = .success(value) }
        } catch { result.withLock { $0 = .failure(error) } }
        done.signal()
    }
    done.wait()
    return try result.withLock { $0! }.get()
}

/// One round as this member sees it: its rendezvous, its stop flag, its reports.
final class RoundAttempt: TrainingObserver, Rendezvous {
    let order: RoundOrder
    private let outbox: Outbox
    private let blobs: BlobClient
    private let stopped = Atomic(false)
    private let condition = NSCondition()
    private let values = Mutex<[String: [UInt8]]>([:])
    private let uploads = DispatchQueue(label: "beamline.checkpoints")
    private struct Pace {
        var lastCheckpoint = DispatchTime.now().uptimeNanoseconds
        var lastReport = DispatchTime.now().uptimeNanoseconds
        var lastStep: Int64?
    }
    private let pace = Mutex(Pace())
    private static let checkpointSeconds: UInt64 = 20

    init(_ order: RoundOrder, outbox: Outbox, blobs: BlobClient) {
        self.order = order
        self.outbox = outbox
        self.blobs = blobs
    }

    var isStopped: Bool { stopped.load(ordering: .relaxed) }

    func stop() {
        stopped.store(true, ordering: .relaxed)
        condition.lock()
        condition.broadcast()
        condition.unlock()
    }

    func report(_ report: TrainingReport) { outbox.send(.training(round: order.round, report)) }

    /// Waits until what was handed over for storing is stored and reported.
    func drain() { uploads.sync {} }

    // MARK: Rendezvous

    func set(_ key: String, _ value: [UInt8]) {
        outbox.send(.rendezvous(round: order.round, key: key), payload: value)
    }

    func arrived(_ key: String, _ value: [UInt8]) {
        condition.lock()
        values.withLock { $0[key] = value }
        condition.broadcast()
        condition.unlock()
    }

    func wait(_ key: String) -> [UInt8]? {
        condition.lock()
        defer { condition.unlock() }
        while !isStopped {
            if let value = values.withLock({ $0[key] }) { return value }
            condition.wait(until: Date().addingTimeInterval(1))
        }
        return nil
    }

    // MARK: Progress; only the first member tells

    func stepped(_ state: TrainingState, epoch: Int, stepsPerEpoch: Int64, loss: Double) {
        guard order.rank == 0 else { return }
        let now = DispatchTime.now().uptimeNanoseconds
        let (tell, rate, save) = pace.withLock { pace in
            if pace.lastStep == nil { (pace.lastStep, pace.lastReport) = (state.step, now) }
            // The epoch's end has a checkpoint of its own, with its metrics.
            let save = state.step % stepsPerEpoch != 0 && now - pace.lastCheckpoint > Self.checkpointSeconds * 1_000_000_000
            if save { pace.lastCheckpoint = now }
            guard now - pace.lastReport > 500_000_000 else { return (false, 0.0, save) }
            let rate = Double(state.step - pace.lastStep!) / (Double(now - pace.lastReport) / 1e9)
            (pace.lastStep, pace.lastReport) = (state.step, now)
            return (true, rate, save)
        }
        if tell { report(.progress(step: state.step, epoch: epoch, stepsPerEpoch: stepsPerEpoch, stepsPerSecond: rate, loss: loss)) }
        if save { store(state) { .checkpoint(digest: $0, step: state.step, metrics: nil) } }
    }

    func finishedEpoch(_ state: TrainingState, _ metrics: EpochMetrics) {
        guard order.rank == 0 else { return }
        pace.withLock { $0.lastCheckpoint = DispatchTime.now().uptimeNanoseconds }
        store(state) { .checkpoint(digest: $0, step: state.step, metrics: metrics) }
    }

    func finished(_ state: TrainingState, test: PartMetrics, truncated: Int64) {
        guard order.rank == 0 else { return }
        store(state) { .finished(digest: $0, test: test, truncated: truncated) }
    }

    /// Stores a state at the coordinator while training goes on; reports follow in order.
    private func store(_ state: TrainingState, _ report: @escaping @Sendable (String) -> TrainingReport) {
        let blobs = blobs
        uploads.async { [self] in
            do {
                let digest = try blocking { try await blobs.put(Checkpoint.encode(state)) }
                self.report(report(digest))
            } catch {
                self.report(.failed(reason: "cannot store a checkpoint: \(error)", fatal: false))
            }
        }
    }
}
