import Cluster
import Collectives
import Dispatch
import Foundation
import Models
import Synchronization
import Training
import Wire

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

    func entered(_ phase: RoundPhase) { outbox.inRound(order.round) { $0.phase = phase } }

    // MARK: Progress; only the first member tells

    func stepped(_ state: TrainingState, epoch: Int, stepsPerEpoch: Int64, loss: Double) {
        outbox.inRound(order.round) { $0.step = state.step }
        guard order.rank == 0 else { return }
        let now = DispatchTime.now().uptimeNanoseconds
        let (tell, rate, save) = pace.withLock { pace in
            if pace.lastStep == nil { (pace.lastStep, pace.lastReport) = (state.step, now) }
            // The epoch's end has a checkpoint of its own, with its metrics.
            let save =
                state.step % stepsPerEpoch != 0 && now - pace.lastCheckpoint > Self.checkpointSeconds * 1_000_000_000
            if save { pace.lastCheckpoint = now }
            guard now - pace.lastReport > 500_000_000 else { return (false, 0.0, save) }
            let rate = Double(state.step - pace.lastStep!) / (Double(now - pace.lastReport) / 1e9)
            (pace.lastStep, pace.lastReport) = (state.step, now)
            return (true, rate, save)
        }
        if tell {
            report(
                .progress(
                    step: state.step, epoch: epoch, stepsPerEpoch: stepsPerEpoch, stepsPerSecond: rate, loss: loss))
        }
        if save { store(state) { .checkpoint(digest: $0, step: state.step, metrics: []) } }
    }

    func finishedEpochs(_ state: TrainingState, _ metrics: [EpochMetrics]) {
        guard order.rank == 0 else { return }
        pace.withLock { $0.lastCheckpoint = DispatchTime.now().uptimeNanoseconds }
        store(state) { .checkpoint(digest: $0, step: state.step, metrics: metrics) }
    }

    func finished(_ state: TrainingState, test: PartMetrics, truncated: Int64) {
        guard order.rank == 0 else { return }
        store(state) { .finished(digest: $0, step: state.step, test: test, truncated: truncated) }
    }

    /// Stores a state at the coordinator while training goes on; reports follow in order.
    private func store(_ state: TrainingState, _ report: @escaping @Sendable (String) -> TrainingReport) {
        let blobs = blobs
        uploads.async { [self] in
            do {
                let digest = try blocking { try await blobs.put(Checkpoint.encode(state)) }
                self.report(report(digest))
            } catch {
                self.report(.failed(reason: "cannot store a checkpoint: \(error)", fatal: false, input: nil))
            }
        }
    }
}
