import Bytes
package import Cluster
package import Foundation
import Ledger
package import Logging
import OrderedCollections
package import Scheduling
import Wire

/// The shell around the scheduler: events of workers and people go in, the scheduler decides, the ledger commits, and
/// only then anybody gets an answer.
///
/// It runs on a thread of its own, since SQLite blocks; what arrives meanwhile is the next batch, and one transaction.
/// Requests that only read are answered by the `QueryService`, from the snapshots that are published here.
package actor Coordinator {
    /// How a coordinator is set up when its process starts.
    package struct Settings: Sendable {
        /// The directory of the ledger and the blobs; made where it does not exist.
        package var state: URL
        package var scheduling = Scheduler.Settings()
        /// The sites file.
        package var catalog = SiteCatalog()
        /// The program's version.
        package var version = ""
        /// Finds the bearer token that jobs with `credentials: forward` send to workers; nil where workers connect
        /// without TLS.
        package var bearerToken: (@Sendable () throws -> String?)?
        /// Takes the ledger from a coordinator that is still alive, which ends by that.
        package var takesOver = false
        /// Goes on with the ledger as it is, though it is empty or older than what lies beside it.
        package var acceptsLedger = false
        /// Called when receipts are committed and before any of them is acknowledged; a test ends the process there.
        package var beforeAcknowledging: (@Sendable () -> Void)?

        package init(state: URL) { self.state = state }
    }

    /// Held for life: nobody else writes the state directory.
    private let lock: StateLock
    let ledger: Ledger
    let blobs: BlobStore
    let planner: LedgerPlanner
    let log: Logger
    let settings: Settings
    var core: CoordinatorCore<SitedLedger>
    var sessions: [WorkerID: Session] = [:]
    /// Numbers of workers that the ledger has given out and that are not used yet.
    var workerNumbers: Range<Int64> = 0..<0
    var files: GrantCache
    /// Each job's stage: when it began in this process, and what its sites gave since.
    var traffic: [JobID: StageTraffic] = [:]
    var credential: ForwardedCredential
    let publisher: Publisher
    /// For blobs that workers store and fetch.
    nonisolated let blobThreads = BlockingThreads(2)
    nonisolated let queries: QueryService
    nonisolated let mailbox = Mailbox<Scheduler.Event>(limit: 20_000, bytesLimit: 256 << 20)

    private let snapshots = SnapshotBoard()
    /// From when on the next batch is followed by a snapshot, in seconds of the monotonic clock.
    private var nextSnapshot = 0.0
    private let executor = QueueExecutor(label: "beamline.coordinator")
    nonisolated package var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Takes the state directory, opens the ledger, or makes it, and goes on with what is in it.
    /// - Throws: `InputError` where another coordinator uses the directory, or the ledger is not the one that belongs
    ///   there; what SQLite and the file system throw.
    package init(_ settings: Settings, log: Logger) throws {
        self.settings = settings
        self.log = log
        let state = StateDirectory(settings.state)
        try state.prepare()
        let path = state.ledger
        blobs = try BlobStore(state.blobs)
        (lock, ledger) = try Self.take(state, settings, blobs: blobs.all.count)
        blobs.removePartial()
        let ledger = ledger
        let planner = LedgerPlanner(ledger: ledger, blobs: blobs, catalog: settings.catalog)
        self.planner = planner
        files = GrantCache(ledger, settings.catalog)
        credential = ForwardedCredential(find: settings.bearerToken)
        publisher = Publisher(blobs: blobs, log: log)
        queries = QueryService(
            ledger: try Ledger(readersOf: path, count: 4), blobs: blobs, snapshots: snapshots,
            version: settings.version)
        var scheduling = settings.scheduling
        let catalog = settings.catalog
        scheduling.maxReads = { catalog.limits(ofSite: $0).maxReads }
        core = try CoordinatorCore(
            scheduling, store: SitedLedger(ledger, planner), now: Self.now(), planner: { planner.plan($0, $1) })
        lock.record(life: ledger.currentLife)
    }

    /// The lock first, then the ledger's new life; where the ledger is taken over from a living coordinator, the life
    /// first: that one sees it, ends, and gives the lock back.
    private static func take(
        _ state: StateDirectory, _ settings: Settings, blobs: Int
    ) throws -> (StateLock, Ledger) {
        func open(_ lock: StateLock?) throws -> Ledger {
            try Ledger(path: state.ledger) { life, jobs in
                let evidence = LedgerEvidence(life: life, jobs: jobs, lastLife: lock?.previous?.life, blobs: blobs)
                guard !settings.acceptsLedger, let objection = evidence.objection else { return }
                throw InputError(
                    .denied, objection, file: state.ledger, expected: "the ledger that belongs to this directory",
                    hint: """
                        Nothing was changed. Put the ledger's files back (ledger.sqlite and ledger.sqlite-wal, or a \
                        backup), or go on with it as it is: --accept-ledger.
                        """)
            }
        }
        let free: StateLock?
        do throws(InputError) { free = try StateLock.take(state.location) } catch {
            guard settings.takesOver else { throw error }
            free = nil
        }
        if let free { return (free, try open(free)) }
        let ledger = try open(nil)
        do throws(InputError) {
            return (try StateLock.take(state.location, seconds: takeoverSeconds), ledger)
        } catch {
            // The ledger keeps its former owner from writing; the lock may be that of a machine that is gone.
            StateLock.discard(state.location)
            return (try StateLock.take(state.location), ledger)
        }
    }

    /// Seconds within which a coordinator whose ledger was taken over has ended.
    private static let takeoverSeconds = 15.0

    /// Seconds of the monotonic clock.
    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Runs the timers until cancelled.
    /// - Throws: `LedgerFailure.takenOver`, within a second or so, where another coordinator has begun a later life.
    package func run() async throws {
        var ticks = 0
        while !Task.isCancelled {
            forwardCredential()
            post(.tick)
            if ticks % 5 == 0 { try checkLife() }
            if ticks % Self.sweepTicks == 0 { sweepBlobs() }
            ticks += 1
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// An hour of ticks.
    private static let sweepTicks = 18_000

    /// A disk that cannot be read is no other coordinator.
    private func checkLife() throws {
        do { try ledger.verifyLife() } catch LedgerFailure.takenOver { throw LedgerFailure.takenOver } catch {}
    }

    /// Looks for blobs that no job names. On this thread nothing is committed meanwhile.
    private func sweepBlobs() {
        do {
            let removed = try blobs.sweep(named: try ledger.namedBlobs(), now: Date().timeIntervalSince1970)
            if removed > 0 { log.info("\(removed) blobs that no job has named for a day were removed") }
        } catch { log.warning("blobs that no job names are not looked for: \(error)") }
    }

    /// Leaves the ledger whole in one file, when everything else has ended.
    package func close() {
        do { try ledger.checkpoint() } catch {
            log.warning("the write-ahead log could not be moved to the ledger's file: \(error); keep both together")
        }
    }

    /// Ends all sessions, so that the server's streams come to their end.
    func endSessions() {
        for session in sessions.values { session.send.finish() }
    }

    // MARK: Events

    nonisolated func post(_ event: Scheduler.Event, bytes: Int = 0) {
        if mailbox.put(event, bytes: bytes) { Task { await self.work() } }
    }

    /// Handles all that has come, as one batch.
    private func work() {
        let events = mailbox.take()
        guard !events.isEmpty else { return }
        process(events)
    }

    /// - Parameter isCommand: somebody waits for the answer and looks at the outcome next.
    /// - Returns: why nothing of it was done, where the ledger could not be written.
    @discardableResult
    func process(_ events: [Scheduler.Event], isCommand: Bool = false) -> String? {
        var outcome = core.process(events.flatMap(checked), now: Self.now(), time: Date().timeIntervalSince1970)
        for line in outcome.log { log.log(level: line.warning ? .warning : .info, "\(line.text)") }
        if let hook = settings.beforeAcknowledging, outcome.replies.contains(where: \.reply.isAcknowledgement) {
            hook()
        }
        noteStages()
        // Before the first task that needs it.
        forwardCredential()
        send(outcome.replies)
        outcome.requests.removeAll { request in
            if case .close(let worker) = request { sessions.removeValue(forKey: worker)?.send.finish() }
            if case .close = request { return true }
            return false
        }
        for request in outcome.requests { carryOut(request) }
        publishSnapshot(isDue: isCommand)
        return outcome.failure
    }

    private func noteStages() {
        for job in core.scheduler.jobs.values where traffic[job.id]?.stage != job.stage {
            traffic[job.id] = StageTraffic(stage: job.stage, started: Self.now())
        }
        if traffic.count > core.scheduler.jobs.count { traffic = traffic.filter { core.scheduler.jobs[$0.key] != nil } }
    }

    private func carryOut(_ request: Scheduler.Request) {
        switch request {
        case .bundle(let id):
            do {
                guard let job = try ledger.job(id) else { return }
                let bundler = Bundler(ledger: ledger, blobs: blobs, version: settings.version)
                post(.bundled(job: id, .success(try bundler.bundle(job))))
            } catch { post(.bundled(job: id, .failure(PlanFailure("\(error)")))) }
        case .publish(let job): Task { await publisher.publish(job, for: self) }
        case .removeBlob(let digest): try? blobs.remove(digest) { try ledger.names(blob: $0) }
        case .plan, .recall, .close: break
        }
    }

    // MARK: Snapshots

    /// Publishes what people may see of the state after a batch: at most ten times a second, and so seldom that it
    /// takes no more than a fiftieth of the thread.
    private func publishSnapshot(isDue: Bool) {
        let now = Self.now()
        guard isDue || now >= nextSnapshot else { return }
        snapshots.publish(snapshot(now))
        nextSnapshot = now + max(0.1, 50 * (Self.now() - now))
    }

    /// Why a worker is left out of training rounds; nil where it is not.
    private func leftOut(_ worker: WorkerID, _ now: Double) -> String? {
        core.scheduler.jobs.values.lazy.compactMap { job in
            job.leftOut(worker, now: now).map { seconds, reason in
                "left out of the training rounds of job \(job.id) for \(Int(seconds) + 1) s more: \(reason)"
            }
        }.first
    }

    private func snapshot(_ now: Double) -> ClusterSnapshot {
        let scheduler = core.scheduler
        var snapshot = ClusterSnapshot()
        snapshot.time = now
        snapshot.sites = scheduler.sites.statuses(now: now)
        snapshot.missingCredential = scheduler.missingCredential
        snapshot.ledgerFailure = core.ledgerFailure
        for worker in scheduler.workers.values {
            var status = WorkerStatus(
                id: worker.id, name: worker.request.name, state: worker.state)
            status.reason = worker.quarantined ?? leftOut(worker.id, now)
            status.threads = worker.request.threads
            status.instructionSet = worker.request.instructionSet
            status.held = scheduler.leases.heldCount(worker.id)
            status.counted = worker.counted
            status.round = worker.round?.round
            status.phase = worker.round?.phase
            status.silentSeconds = now - worker.lastMessage
            status.stuck = worker.stuck?.sentence
            snapshot.workers.append(status)
            if !worker.request.localRoots.isEmpty { snapshot.localRoots.append(worker.request.localRoots) }
        }
        for job in scheduler.jobs.values {
            var live = ClusterSnapshot.Job(
                machine: job, traffic: traffic[job.id] ?? StageTraffic(stage: job.stage, started: now))
            if job.stage.hasTasks {
                (live.tasksDone, live.tasksAll) = scheduler.leases.progress(job.id)
                live.waitingQueues = scheduler.leases.waitingQueues(job.id)
            }
            if job.stage.trains { live.hasTrainers = scheduler.hasTrainers(job.id) }
            snapshot.jobs[job.id] = live
        }
        return snapshot
    }
}

extension Scheduler.Reply {
    /// Whether it acknowledges receipts.
    fileprivate var isAcknowledgement: Bool {
        if case .message(.acknowledged, _) = self { true } else { false }
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
