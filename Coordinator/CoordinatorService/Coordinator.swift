import Bytes
import Cluster
import Foundation
import Ledger
import Logging
import Scheduling
import Wire

/// The shell around the scheduler: it takes what workers and people say, has the scheduler decide, the ledger remember, and only then answers.
///
/// It runs on a thread of its own, since SQLite blocks; what arrives meanwhile is the next batch, and one transaction.
package actor Coordinator {
    package struct Settings: Sendable {
        /// The directory of the ledger and the blobs; made where it does not exist.
        package var state: URL
        package var scheduling = Scheduler.Settings()
        /// The sites file.
        package var catalog = SiteCatalog()
        package var version = ""
        /// Finds the bearer token that jobs with `credentials: forward` lend to workers; nil where workers are not spoken to over TLS.
        package var bearerToken: (@Sendable () throws -> String?)?

        package init(state: URL) { self.state = state }
    }

    struct Session {
        var name: String
        let send: AsyncStream<Beamline_Envelope>.Continuation
    }

    struct Traffic {
        var events: Int64 = 0
        var bytes: Int64 = 0

        mutating func add(events: Int64, bytes: Int64) {
            self.events &+= events
            self.bytes &+= bytes
        }
    }

    let ledger: Ledger
    let blobs: BlobStore
    let planner: StagePlanner
    let log: Logger
    let settings: Settings
    var core: CoordinatorCore<SitedLedger>
    var sessions: [WorkerID: Session] = [:]
    var files: FileCache
    /// Each job's stage: when it began in this life, and what its sites gave since.
    var stages: [JobID: (stage: JobStage, started: Double, traffic: [String: Traffic])] = [:]
    var publishing: Set<JobID> = []
    /// What the workers have now; never logged, never in the ledger.
    var lentToken: String?
    /// Numbers of workers that the ledger has given out and that are not used yet.
    private var workerNumbers: Range<Int64> = 0..<0
    nonisolated let mailbox = Mailbox<Scheduler.Event>(limit: 20_000, bytesLimit: 256 << 20)

    private let executor = QueueExecutor(label: "beamline.coordinator")
    nonisolated package var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    package init(_ settings: Settings, log: Logger) throws {
        self.settings = settings
        self.log = log
        try FileManager.default.createDirectory(at: settings.state, withIntermediateDirectories: true)
        ledger = try Ledger(path: settings.state.appending(path: "ledger.sqlite").path)
        blobs = try BlobStore(settings.state.appending(path: "blobs"))
        let ledger = ledger
        try blobs.sweep { try ledger.names(blob: $0) }
        let planner = StagePlanner(ledger: ledger, blobs: blobs, catalog: settings.catalog)
        self.planner = planner
        files = FileCache(ledger, settings.catalog)
        var scheduling = settings.scheduling
        let catalog = settings.catalog
        scheduling.maxReads = { catalog.limits(ofSite: $0).maxReads }
        core = try CoordinatorCore(
            scheduling, store: SitedLedger(ledger, planner), now: Self.now(), planner: { planner.plan($0, $1) })
    }

    /// Seconds that only grow.
    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Runs the timers until cancelled.
    package func run() async throws {
        while !Task.isCancelled {
            lendToken()
            post(.tick)
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    // MARK: Events

    nonisolated func post(_ event: Scheduler.Event, bytes: Int = 0) {
        if mailbox.put(event, bytes: bytes) { Task { await self.work() } }
    }

    /// Handles all that has come, as one batch.
    func work() {
        let events = mailbox.take()
        guard !events.isEmpty else { return }
        process(events)
    }

    /// - Returns: why nothing of it was done, where the ledger could not be written.
    @discardableResult
    func process(_ events: [Scheduler.Event]) -> String? {
        var outcome = core.process(events.flatMap(flattened), now: Self.now(), time: Date().timeIntervalSince1970)
        for line in outcome.log { log.log(level: line.warning ? .warning : .info, "\(line.text)") }
        Self.pauseForTests("before-acknowledge", outcome)
        noteStages()
        // Before the first task that needs it.
        lendToken()
        send(outcome.replies)
        outcome.requests.removeAll { request in
            if case .close(let worker) = request { sessions.removeValue(forKey: worker)?.send.finish() }
            if case .close = request { return true }
            return false
        }
        for request in outcome.requests { carryOut(request) }
        return outcome.failure
    }

    /// A message with several receipts is as many events.
    private func flattened(_ event: Scheduler.Event) -> [Scheduler.Event] {
        if case .message(let worker, .training(let round, let report), let payload) = event {
            // The next round states again what this one knew.
            let failed = TrainingReport.failed(
                reason: "a report makes no sense, or its state is not at the coordinator", fatal: false, input: nil)
            return isSane(report)
                ? [event] : [.message(worker: worker, .training(round: round, failed), payload: payload)]
        }
        guard case .message(let worker, .receipts(let receipts), _) = event else { return [event] }
        return receipts.map { receipt in
            .receipt(worker: worker, receipt, digest: ReceiptCheck.digest(receipt), unacceptable: mistake(receipt))
        }
    }

    /// A state must be here before it is told of, and numbers must be such as training gives.
    private func isSane(_ report: TrainingReport) -> Bool {
        let steps = Int64(0)...Int64(1) << 53
        let isSane: Bool
        switch report {
        case .checkpoint(let digest, let step, let metrics):
            isSane = blobs.has(digest) && steps.contains(step) && metrics.allSatisfy { $0.epoch > 0 }
            if isSane { blobs.arrived(digest) }
        case .finished(let digest, let step, _, let truncated):
            isSane = blobs.has(digest) && steps.contains(step) && truncated >= 0
            if isSane { blobs.arrived(digest) }
        case .progress(let step, let epoch, let stepsPerEpoch, let rate, let loss):
            isSane =
                steps.contains(step) && steps.contains(stepsPerEpoch) && (0...1 << 32).contains(epoch)
                && (0...1e9).contains(rate) && loss.isFinite
        case .failed: isSane = true
        }
        if !isSane { log.warning("a training report makes no sense, or its state is not here: \(report)") }
        return isSane
    }

    /// What cannot be right about a receipt.
    private func mistake(_ receipt: Receipt) -> String? {
        guard let extent = core.scheduler.leases.extent(receipt.lease.task), let job = core.scheduler.jobs[extent.job]
        else { return nil }
        do {
            switch job.stage {
            case .specs:
                guard let id = extent.unit.file, let file = try files.file(id) else {
                    return "its file is not in the ledger"
                }
                let boundaries = file.boundaries(extent)
                try ReceiptCheck.specs(receipt, boundaries: boundaries, branches: try files.plan(job.id).branches)
                count(receipt, job.id, file, boundaries)
            case .survey: try ReceiptCheck.survey(receipt)
            case .list: try ReceiptCheck.list(receipt)
            case .queued, .train, .evaluate, .publish, .done, .failed, .cancelled:
                return "stage \(job.stage.rawValue) has no tasks"
            }
            return nil
        } catch { return "\(error)" }
    }

    private func count(_ receipt: Receipt, _ job: JobID, _ file: FileCache.Entry, _ boundaries: ArraySlice<Int64>) {
        guard case .counted(let bytes, _) = receipt.result, core.scheduler.leases.check(receipt.lease) == .count else {
            return
        }
        stages[job]?.traffic[file.site, default: Traffic()].add(
            events: boundaries.last! - boundaries.first!, bytes: Int64(max(0, min(bytes, 1 << 50))))
    }

    private func noteStages() {
        for job in core.scheduler.jobs.values where stages[job.id]?.stage != job.stage {
            stages[job.id] = (job.stage, Self.now(), [:])
        }
        if stages.count > core.scheduler.jobs.count { stages = stages.filter { core.scheduler.jobs[$0.key] != nil } }
    }

    /// A stopping place for tests that kill the process there: `BEAMLINE_TEST_DIE_AT` names it.
    private static func pauseForTests(_ place: String, _ outcome: CoordinatorCore<SitedLedger>.Outcome) {
        guard let wanted = ProcessInfo.processInfo.environment["BEAMLINE_TEST_DIE_AT"], wanted == place else { return }
        for case (_, .message(.acknowledged, _)) in outcome.replies { raise(SIGKILL) }
    }

    private func carryOut(_ request: Scheduler.Request) {
        switch request {
        case .bundle(let id):
            do {
                guard let job = try ledger.job(id) else { return }
                post(.bundled(job: id, .success(try makeBundle(job))))
            } catch { post(.bundled(job: id, .failure(PlanFailure("\(error)")))) }
        case .publish(let job): publish(job)
        case .removeBlob(let digest): try? blobs.remove(digest) { try ledger.names(blob: $0) }
        case .plan, .recall, .close: break
        }
    }

    // MARK: Sessions

    /// Takes in a worker.
    /// - Throws: an error where the request is invalid.
    func join(_ request: JoinRequest, send: AsyncStream<Beamline_Envelope>.Continuation) throws -> WorkerID {
        guard (1...256).contains(request.name.utf8.count), (1...65_536).contains(request.threads),
            (0...65_536).contains(request.readAhead), request.localRoots.count <= 1000,
            request.localRoots.allSatisfy({ $0.utf8.count <= 4096 }), request.version.utf8.count <= 256,
            request.kernels.utf8.count <= 256, request.ownKernels.text.utf8.count <= 256,
            request.process.utf8.count <= 64
        else {
            throw InputError(
                .input, "a worker's join request is invalid",
                expected: "a name of 1 to 256 bytes, 1 to 65536 threads, at most 1000 directories",
                found:
                    "a name of \(request.name.utf8.count) bytes, \(request.threads) threads, \(request.localRoots.count) directories"
            )
        }
        if workerNumbers.isEmpty {
            let last = try ledger.next("worker", by: 1000)
            workerNumbers = last - 999..<last + 1
        }
        let id = WorkerID(workerNumbers.removeFirst())
        sessions[id] = Session(name: request.name, send: send)
        tell(id, .catalog(settings.catalog))
        if let lentToken { tell(id, .credential, payload: Array(lentToken.utf8)) }
        post(.joined(worker: id, request))
        return id
    }

    /// Its connection ended.
    func leave(_ id: WorkerID) {
        guard let session = sessions.removeValue(forKey: id) else { return }
        session.send.finish()
        post(.left(worker: id, died: true))
    }

    func isJoined(_ id: WorkerID) -> Bool { sessions[id] != nil }

    func tell(_ worker: WorkerID, _ message: CoordinatorMessage, payload: [UInt8] = []) {
        guard sessions[worker] != nil else { return }
        do { hand(try WireCoding.envelope(message, payload: payload), to: worker) } catch { log.error("\(error)") }
    }

    /// Sends each worker one envelope with all its assignments and acknowledgements.
    private func send(_ replies: [(worker: WorkerID, reply: Scheduler.Reply)]) {
        var often: [WorkerID: Beamline_Envelope] = [:]
        for (worker, reply) in replies where sessions[worker] != nil {
            switch reply {
            case .message(.acknowledged(let leases), _):
                often[worker, default: .init()].acknowledged += leases.map(WireCoding.name)
            case .message(let message, let payload): tell(worker, message, payload: payload)
            case .assign(let assignment):
                do {
                    add(
                        try files.grant(assignment, core.scheduler.jobs[assignment.job]),
                        to: &often[worker, default: .init()])
                } catch {
                    log.error("task \(assignment.lease.task) cannot be assigned: \(error)")
                }
            }
        }
        for (worker, envelope) in often { hand(envelope, to: worker) }
    }

    /// Chunks of one file that follow each other share its description.
    private func add(_ grants: Beamline_Grants, to envelope: inout Beamline_Envelope) {
        let last = envelope.grants.count - 1
        if last >= 0, !grants.input.isEmpty, envelope.grants[last].input == grants.input,
            envelope.grants[last].plan == grants.plan
        {
            envelope.grants[last].leases += grants.leases
        } else {
            envelope.grants.append(grants)
        }
    }

    /// One that does not listen is dropped before it fills the memory.
    private func hand(_ envelope: Beamline_Envelope, to worker: WorkerID) {
        guard let session = sessions[worker], case .dropped = session.send.yield(envelope) else { return }
        log.warning("worker \(worker) (\(session.name)) does not take what is sent to it; its session is ended")
        sessions[worker] = nil
        session.send.finish()
        post(.left(worker: worker, died: false))
    }

    func findToken() -> (token: String?, trouble: String?) {
        guard let find = settings.bearerToken else { return (nil, nil) }
        do {
            let token = try find()
            return (token, token == nil ? "a bearer token: the coordinator finds none to forward" : nil)
        } catch { return (nil, "a bearer token: \(error)") }
    }

    /// Lends the running jobs' token where they say so, again whenever it was renewed, and takes it back at their end.
    private func lendToken() {
        let isWanted = core.scheduler.jobs.values.contains { $0.description.credentials == .forward }
        let (token, trouble) = isWanted ? findToken() : (nil, nil)
        if token != lentToken {
            lentToken = token
            for id in sessions.keys { tell(id, .credential, payload: Array((token ?? "").utf8)) }
        }
        if trouble != core.scheduler.missingCredential { post(.credentials(missing: trouble)) }
    }
}

/// One thread that an actor's work runs on.
final class QueueExecutor: SerialExecutor {
    private let queue: DispatchQueue

    init(label: String) { queue = DispatchQueue(label: label) }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}
