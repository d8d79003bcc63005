import Bytes
import Cluster
import Foundation
import Ledger
import Logging
import Scheduling
import Specs
import Wire

/// The shell around the pure machines: it takes messages, asks the machines, writes the ledger, and only then answers.
///
/// It runs on a thread of its own, since SQLite blocks.
package actor Coordinator {
    struct WorkerSession {
        var name: String
        var threads: Int
        var readAhead: Int
        var localRoots: [String]
        var leases: Set<LeaseName> = []
        /// When the last message came.
        var heard = Coordinator.now()
        let send: AsyncStream<Beamline_Envelope>.Continuation
    }

    /// The one job that is worked on.
    struct ActiveJob {
        var id: Int64
        var description: JobDescription
        var stage: JobStage
        var tasks: [Int64: Ledger.TaskRecord] = [:]
        var leases = LeaseTable()
        var tasksAll = 0
        /// When a task's first transient failure was.
        var failingSince: [Int64: Double] = [:]
        var stageStarted: Double
        var traffic: [String: (events: Int64, bytes: Int64)] = [:]
        var progress: (step: Int64, epoch: Int, steps: Int64, rate: Double, loss: Double)?
        var manifest: TrainingManifest?
        var rounds = RoundKeeper()
        /// A push is under way.
        var publishing = false
        var publishWaits: String?
    }

    let ledger: Ledger
    let blobs: BlobStore
    let log: Logger
    let leaseSeconds: Double
    let version: String
    /// How long tasks that fail for a reason that may pass are tried again.
    let patienceSeconds: Double
    /// The sites file.
    let catalog: SiteCatalog
    var sites = SitePolicy()
    /// Finds the bearer token that jobs with `credentials: forward` lend to workers; nil where workers are not spoken to over TLS.
    let bearerToken: (@Sendable () throws -> String?)?
    /// What the workers have now; never logged, never in the ledger.
    var lentToken: String?
    var tokenTrouble: String?
    var workers: [Int64: WorkerSession] = [:]
    var active: ActiveJob?
    private var lastTick = Coordinator.now()

    private let executor = QueueExecutor(label: "beamline.coordinator")
    nonisolated package var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// - Parameter state: the directory of the ledger and the blobs; made where it does not exist.
    package init(
        state: URL, leaseSeconds: Double, patienceSeconds: Double = 60, catalog: SiteCatalog = .init(), version: String, log: Logger,
        bearerToken: (@Sendable () throws -> String?)? = nil
    ) throws {
        self.catalog = catalog
        self.patienceSeconds = patienceSeconds
        self.bearerToken = bearerToken
        try FileManager.default.createDirectory(at: state, withIntermediateDirectories: true)
        ledger = try Ledger(path: state.appending(path: "ledger.sqlite").path)
        blobs = try BlobStore(state.appending(path: "blobs"))
        self.leaseSeconds = leaseSeconds
        self.version = version
        self.log = log
    }

    /// Seconds that only grow.
    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Runs the timers until cancelled.
    package func run() async throws {
        try pickJob()
        while !Task.isCancelled {
            do { try tick() } catch { log.error("the coordinator's timer: \(error)") }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    private func tick() throws {
        let now = Self.now()
        // After a stall of our own, the messages that waited come first.
        let late = now - lastTick > 3
        lastTick = now
        guard !late else { return }
        dropSilentWorkers(now)
        sites.tick(now: now)
        try tellSites()
        lendToken()
        if active == nil { try pickJob() }
        guard active != nil else { return }
        for task in active!.leases.expire(now: now) {
            log.warning("the lease of task \(task) ran out; it is lent anew")
            for id in workers.keys { workers[id]!.leases = workers[id]!.leases.filter { $0.task != task } }
        }
        try lend()
        try tickTraining(now)
        try tickPublishing()
        try advanceIfComplete()
    }

    // MARK: Jobs

    package func submit(_ job: JobDescription) throws -> Int64 {
        if job.credentials == .forward, bearerToken == nil {
            throw FormatError(
                .input, "credentials: forward lends tokens over TLS only, and this coordinator's workers connect without",
                hint: "Start it with --tls-certificate and --tls-key, and the workers with --tls-authority.")
        }
        let id = try ledger.addJob(job, at: Date().timeIntervalSince1970)
        log.info("job \(id) (\(job.name)) was submitted")
        try pickJob()
        return id
    }

    package func cancel(_ id: Int64) throws -> Bool {
        guard let job = try ledger.job(id), !job.stage.isFinal else { return false }
        if active?.id == id { try finish(.cancelled) } else {
            try ledger.setStage(id, .cancelled, at: Date().timeIntervalSince1970)
        }
        return true
    }

    /// Takes up the oldest job that is not at its end: after a restart, the one that was worked on.
    func pickJob() throws {
        guard active == nil, let job = try ledger.jobs().first(where: { !$0.stage.isFinal }) else { return }
        active = ActiveJob(id: job.id, description: job.description, stage: job.stage, stageStarted: Self.now())
        // Before the first task that needs it.
        lendToken()
        if job.stage == .queued { try enter(.list) } else { try resume(job) }
    }

    private func resume(_ job: Ledger.JobRecord) throws {
        log.info("job \(job.id) goes on in stage \(job.stage.rawValue)")
        if job.stage.hasTasks { try loadTasks() }
        if job.stage == .train || job.stage == .evaluate { try startTraining() }
    }

    func loadTasks() throws {
        guard let job = active else { return }
        let tasks = try ledger.tasks(job.id, job.stage)
        var table = LeaseTable(nextToken: try ledger.largestToken() + 1)
        for task in tasks { table.add(task.id, url: task.body.url, site: queueName(task.body)) }
        let receipts = try ledger.receipts(job.id, job.stage)
        for receipt in receipts { table.restore(counted: receipt.lease, digest: receipt.digest) }
        // A worker of an earlier life may still hand in what it was lent.
        for (lease, worker) in try ledger.leases(job.id) { table.restore(lease, worker: worker, deadline: Self.now() + leaseSeconds) }
        active!.tasks = Dictionary(uniqueKeysWithValues: tasks.map { ($0.id, $0) })
        active!.tasksAll = tasks.count
        active!.leases = table
        active!.traffic = [:]
        active!.stageStarted = Self.now()
    }

    package func siteStatuses() -> [SiteStatus] { sites.statuses(now: Self.now()) }

    func finish(_ stage: JobStage, error: String? = nil) throws {
        guard let job = active else { return }
        if let action = active!.rounds.end() { try perform(action) }
        try ledger.setStage(job.id, stage, error: error, at: Date().timeIntervalSince1970)
        log.info("job \(job.id) (\(job.description.name)): \(stage.rawValue)\(error.map { ": " + $0 } ?? "")")
        active = nil
        lendToken()
        try pickJob()
    }

    func addNotes(_ notes: [String]) throws {
        guard let job = active, !notes.isEmpty else { return }
        let known = try ledger.job(job.id)?.notes ?? []
        try ledger.setNotes(job.id, known + notes.filter { !known.contains($0) })
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
