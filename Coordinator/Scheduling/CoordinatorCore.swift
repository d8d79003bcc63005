package import Cluster
import OrderedCollections

/// Drives the scheduler over a ledger: events in batches, each batch one transaction, and no message is sent before it
/// is committed.
///
/// Where a transaction fails, the scheduler is no longer what the ledger holds: it is thrown away and restored from the
/// ledger, as after a crash, and every session is ended; workers join again and send once more what was not
/// acknowledged.
package struct CoordinatorCore<Store: LedgerStore>: Sendable where Store: Sendable {
    /// Makes the plan of a stage that a job enters, or gives the reason why the job cannot go on.
    package typealias Planner = @Sendable (_ job: JobID, _ stage: JobStage) -> Result<StagePlan, PlanFailure>

    /// What the shell carries out after a batch; replies and requests follow from what is committed.
    package struct Outcome: Sendable {
        package var replies: [(worker: WorkerID, reply: Scheduler.Reply)] = []
        package var requests: [Scheduler.Request] = []
        package var log: [(warning: Bool, text: String)] = []
        /// Why nothing of the batch was done.
        package var failure: String?
    }

    package private(set) var scheduler: Scheduler
    package let store: Store
    /// Why nothing is granted: the ledger cannot be written.
    package private(set) var ledgerFailure: String?
    private let planner: Planner
    private let settings: Scheduler.Settings

    /// - Throws: what the ledger throws when it is read.
    package init(_ settings: Scheduler.Settings, store: Store, now: Double, planner: @escaping Planner) throws {
        self.settings = settings
        self.store = store
        self.planner = planner
        scheduler = Scheduler(settings, try store.restore(), now: now)
    }

    /// - Parameters:
    ///   - now: seconds of a clock that only grows.
    ///   - time: seconds since 1970, for the records.
    package mutating func process(_ events: [Scheduler.Event], now: Double, time: Double) -> Outcome {
        var outcome = Outcome()
        if ledgerFailure != nil, !recover(now, time, &outcome) {
            outcome.failure = ledgerFailure
            for case .joined(let worker, _) in events { outcome.requests.append(.close(worker: worker)) }
            return outcome
        }
        for event in events { scheduler.handle(event, now: now) }
        scheduler.settle()
        // Plans are made from what is committed, and lead to more to commit.
        while true {
            let output = scheduler.take()
            guard commit(output, now, time, &outcome) else { return outcome }
            var planned = false
            for request in output.requests {
                guard case .plan(let job, let stage) = request else { continue }
                scheduler.handle(.planned(job: job, stage, planner(job, stage)), now: now)
                planned = true
            }
            guard planned else { return outcome }
            scheduler.settle()
        }
    }

    private mutating func commit(
        _ output: Scheduler.Output, _ now: Double, _ time: Double, _ outcome: inout Outcome
    ) -> Bool {
        outcome.log += output.log
        do { if !output.writes.isEmpty { try store.commit(output.writes, at: time) } } catch {
            fail("\(error)", &outcome)
            _ = recover(now, time, &outcome)
            return false
        }
        outcome.replies += output.replies
        for request in output.requests {
            switch request {
            case .plan: break
            case .recall(let worker, let lease, let digest):
                outcome.replies.append((worker, .message(recall(lease, digest), payload: [])))
            case .bundle, .publish, .removeBlob, .close: outcome.requests.append(request)
            }
        }
        return true
    }

    /// The very receipt that was counted gets the same acknowledgement.
    private func recall(_ lease: LeaseName, _ digest: String) -> CoordinatorMessage {
        guard let known = try? store.counted(lease.task) else {
            return .rejected(lease, reason: "task \(lease.task) is not wanted any more")
        }
        if known.token == lease.token, known.digest == digest { return .acknowledged([lease]) }
        return .rejected(lease, reason: "task \(lease.task) was counted under token \(known.token)")
    }

    private mutating func fail(_ reason: String, _ outcome: inout Outcome) {
        ledgerFailure = reason
        outcome.failure = reason
        outcome.log.append((true, "the ledger cannot be written, so nothing is granted or acknowledged: \(reason)"))
        outcome.replies = []
        outcome.requests = scheduler.workers.keys.map { .close(worker: $0) }
    }

    /// Restores the scheduler where the ledger can be written again.
    private mutating func recover(_ now: Double, _ time: Double, _ outcome: inout Outcome) -> Bool {
        do {
            try store.commit([.story(.ledger, "the ledger is written again")], at: time)
            let closing = scheduler.workers.keys.map { Scheduler.Request.close(worker: $0) }
            scheduler = Scheduler(settings, try store.restore(), now: now)
            for request in closing where !outcome.requests.contains(request) { outcome.requests.append(request) }
            outcome.log.append((true, "the ledger is written again"))
            ledgerFailure = nil
            return true
        } catch {
            ledgerFailure = "\(error)"
            return false
        }
    }
}
