package import Cluster
package import OrderedCollections

/// All that a coordinator decides: events in, directives out. Pure: the clock is passed in, and what the ledger must
/// know is a directive like any other. Whoever drives it commits the writes first and only then carries out the rest.
package struct Scheduler: Sendable {
    /// What an operator or a test may set of the scheduler.
    package struct Settings: Sendable {
        /// Seconds until a silent worker's tasks are assigned again.
        package var leaseSeconds = 10.0
        /// Seconds for which tasks that fail for a reason that may pass are tried again.
        package var retrySeconds = 60.0
        package var leases = LeaseTable.Settings()
        package var sites = SitePolicy.Settings()
        /// Reads that all workers together may have under way at a site, by its name.
        package var maxReads: @Sendable (String) -> Int = { _ in 64 }
        package init() {}
    }

    /// What happens to the cluster: messages of workers, commands of people, results of requests, and time.
    package enum Event: Sendable {
        case tick
        case joined(worker: WorkerID, JoinRequest)
        /// - died: its connection broke; else the coordinator ended it, or it took its leave before.
        case left(worker: WorkerID, died: Bool)
        case message(worker: WorkerID, WorkerMessage, payload: [UInt8])
        /// A receipt that was looked at: `unacceptable` is why its content is invalid.
        case receipt(worker: WorkerID, Receipt, digest: String, unacceptable: String?)
        case submitted(RestoredJob)
        case pause(job: JobID)
        case resume(job: JobID)
        case cancel(job: JobID)
        case drain(worker: WorkerID)
        case planned(job: JobID, JobStage, Result<StagePlan, PlanFailure>)
        case bundled(job: JobID, Result<String, PlanFailure>)
        case published(job: JobID, node: String, digest: String)
        case publishWaits(job: JobID, String)
        case publishedEverywhere(job: JobID)
        case publishRejected(job: JobID, String)
        /// Work that needs a credential waits while there is none.
        case credentials(missing: String?)
    }

    /// What is sent to a worker, once the writes are committed.
    package enum Reply: Sendable, Equatable {
        case message(CoordinatorMessage, payload: [UInt8])
        case assign(Assignment)
    }

    /// What only the shell can do; asked once the writes are committed.
    package enum Request: Sendable, Equatable {
        case plan(job: JobID, JobStage)
        case bundle(job: JobID)
        case publish(job: JobID)
        /// A receipt for a task that is not open: the ledger knows whether it was counted.
        case recall(worker: WorkerID, LeaseName, digest: String)
        case removeBlob(String)
        case close(worker: WorkerID)
    }

    /// What follows from the events since the last call of `take`, each list in its order.
    package struct Output: Sendable {
        package var writes: [LedgerWrite] = []
        package var replies: [(worker: WorkerID, reply: Reply)] = []
        package var requests: [Request] = []
        /// For the log: a line each, warnings marked.
        package var log: [(warning: Bool, text: String)] = []

        package var isEmpty: Bool { writes.isEmpty && replies.isEmpty && requests.isEmpty && log.isEmpty }
    }

    package let settings: Settings
    package private(set) var jobs: OrderedDictionary<JobID, JobMachine> = [:]
    package private(set) var workers: OrderedDictionary<WorkerID, WorkerEntry> = [:]
    package internal(set) var leases: LeaseTable
    package internal(set) var sites: SitePolicy
    /// The credential without which work that needs one waits.
    package internal(set) var missingCredential: String?
    var now: Double
    var output = Output()
    /// Workers that may have capacity, in the order in which they asked.
    var workersWithCapacity: OrderedSet<WorkerID> = []
    /// Work was added or given back: workers that did not ask may get some.
    var assignToAll = false
    /// The tasks with which a process seems to have died, until it is back.
    private var suspects: OrderedDictionary<String, [TaskID]> = [:]
    /// Who trains what may have changed.
    var membershipChanged = false
    private var lastTick: Double
    /// The next round of any job.
    var nextRound: RoundNumber

    package init(_ settings: Settings, _ restored: Restored, now: Double) {
        self.settings = settings
        self.now = now
        lastTick = now
        nextRound = restored.nextRound
        leases = LeaseTable(settings.leases, nextToken: restored.nextToken, nextTask: restored.nextTask)
        sites = SitePolicy(settings.sites)
        for job in restored.jobs { adopt(job) }
    }

    /// What is to be done, since the last call.
    package mutating func take() -> Output {
        defer { output = Output() }
        return output
    }

    // MARK: Events

    /// Several may come before what follows from all of them is assigned: then call `settle`.
    package mutating func handle(_ event: Event, now: Double) {
        self.now = max(self.now, now)
        switch event {
        case .tick: tick()
        case .joined(let id, let request): joined(id, request)
        case .left(let id, let died): left(id, died ? .died : .dropped)
        case .message(let id, let message, let payload): handle(message, payload, from: id)
        case .receipt(let id, let receipt, let digest, let unacceptable):
            self.receipt(receipt, digest, unacceptable, from: id)
        case .submitted(let job): adopt(job)
        case .pause(let job): pause(job, true)
        case .resume(let job): pause(job, false)
        case .cancel(let job): finish(job, .cancelled)
        case .drain(let worker): drain(worker)
        case .planned(let job, let stage, let result): planned(job, stage, result)
        case .bundled(let job, let result): bundled(job, result)
        case .published(let job, let node, let digest):
            output.writes.append(.job(job, .publication(node: node, digest: digest)))
        case .publishWaits(let job, let reason): withJob(job) { $0.waitToPublish(reason) }
        case .publishedEverywhere(let job): if jobs[job]?.stage == .publish { finish(job, .done) }
        case .publishRejected(let job, let reason): finish(job, .failed, error: reason)
        case .credentials(let missing):
            if missing == nil, missingCredential != nil { assignToAll = true }
            missingCredential = missing
        }
    }

    /// Assigns what can be assigned and starts what can start.
    package mutating func settle() {
        if membershipChanged { shareTrainers() }
        assign()
        let changes = sites.changes()
        if !changes.isEmpty { for id in workers.keys { reply(id, .sites(changes)) } }
        for change in changes {
            if change.excluded { warn("the site \(change.site) is excluded") }
            assignToAll = true
        }
        if assignToAll { assign() }
    }

    // MARK: Its tables

    /// Changes a job where it lies.
    /// - Returns: nil where there is no such job.
    @discardableResult
    mutating func withJob<Result>(_ id: JobID, _ body: (inout JobMachine) -> Result) -> Result? {
        jobs.index(forKey: id).map { body(&jobs.values[$0]) }
    }

    /// Changes a worker where it lies.
    /// - Returns: nil where there is no such worker.
    @discardableResult
    mutating func withWorker<Result>(_ id: WorkerID, _ body: (inout WorkerEntry) -> Result) -> Result? {
        workers.index(forKey: id).map { body(&workers.values[$0]) }
    }

    mutating func add(_ job: JobMachine) { jobs[job.id] = job }
    mutating func remove(_ job: JobID) { jobs[job] = nil }

    mutating func reply(_ worker: WorkerID, _ message: CoordinatorMessage, payload: [UInt8] = []) {
        output.replies.append((worker, .message(message, payload: payload)))
    }

    mutating func log(_ text: String) { output.log.append((false, text)) }
    mutating func warn(_ text: String) { output.log.append((true, text)) }

    // MARK: Time

    private mutating func tick() {
        // After a stall of our own, the messages that waited come first.
        let pause = now - lastTick
        let late = pause > max(3, settings.leaseSeconds / 2)
        lastTick = now
        guard !late else { return }
        let silence = max(settings.leaseSeconds, 10)
        for worker in workers.values where now - worker.lastMessage > silence {
            warn(
                """
                worker \(worker.id) (\(worker.request.name)) was silent for \(Int(now - worker.lastMessage)) s \
                and is dropped
                """
            )
            output.requests.append(.close(worker: worker.id))
            left(worker.id, .dropped)
        }
        // Nobody is called silent for a pause of this coordinator.
        if pause < Self.silenceInRounds / 2 { markSilent() }
        sites.tick(now: now)
        let (overdue, crashes) = leases.expire(now: now) { [workers] in Self.isBack($0, workers) }
        for lease in overdue {
            warn("the lease of task \(lease.task) ran out")
            output.writes.append(.story(.task(lease.task), "the lease under token \(lease.token) ran out"))
            assignToAll = true
        }
        for crash in crashes {
            output.writes.append(.task(.crash(crash.task)))
            if !crash.process.isEmpty, suspects.count < 10_000 || suspects[crash.process] != nil {
                suspects[crash.process, default: []].append(crash.task)
            }
            if crash.isPoison { quarantine(crash.task, "workers died with it, again and again") }
        }
        tickTrainings()
        assignToAll = assignToAll || jobs.keys.contains { leases.hasStragglers($0, now: now) || leases.hasWaiting($0) }
    }

    /// Whether a process that was believed dead has joined again.
    static func isBack(_ process: String, _ workers: OrderedDictionary<WorkerID, WorkerEntry>) -> Bool {
        !process.isEmpty && workers.values.contains { $0.request.process == process }
    }

    // MARK: Workers

    private mutating func joined(_ id: WorkerID, _ request: JoinRequest) {
        workers[id] = WorkerEntry(id: id, request: request, now: now)
        log("worker \(id) (\(request.name), \(request.threads) threads) joined")
        output.writes.append(
            .story(
                .worker(id),
                """
                \(request.name) joined: \(request.threads) threads, \(request.readAhead) tasks read ahead, \
                instructions \(request.instructionSet)
                """
            ))
        reply(
            id,
            .welcome(
                worker: id, leaseSeconds: settings.leaseSeconds, protocolVersion: WireProtocol.version))
        reply(id, .sites(sites.directives()))
        if !request.process.isEmpty {
            let suspects = suspects.removeValue(forKey: request.process) ?? []
            for task in leases.cameBack(request.process, suspects: suspects) {
                output.writes.append(.task(.clear(task)))
            }
        }
        workersWithCapacity.append(id)
        membershipChanged = true
    }

    /// How a session ended.
    enum Departure {
        /// Its connection broke.
        case died
        /// The coordinator ended it.
        case dropped
        /// The worker took its leave, and gives back what it held.
        case leave
    }

    mutating func left(_ id: WorkerID, _ departure: Departure) {
        guard let worker = workers.removeValue(forKey: id) else { return }
        log("worker \(id) (\(worker.request.name)) left")
        let held = leases.heldCount(id)
        let text =
            switch departure {
            case .died: "its connection broke, holding \(held) tasks"
            case .dropped: "was dropped, holding \(held) tasks"
            case .leave: "left"
            }
        output.writes.append(.story(.worker(id), text))
        sites.workerLeft(id)
        // Whoever drains a worker may also end it.
        if departure == .died, !worker.isDraining {
            for job in jobs.values where job.trains {
                withJob(job.id) { [now] in $0.died(id, process: worker.request.process, now: now) }
            }
        }
        leases.workerLeft(
            id, tookLeave: departure == .leave, died: departure == .died ? worker.request.process : nil, now: now)
        workersWithCapacity.remove(id)
        if departure == .leave { assignToAll = true }
        membershipChanged = true
    }

    private mutating func drain(_ id: WorkerID) {
        guard withWorker(id, { $0.isDraining = true }) != nil else { return }
        workersWithCapacity.remove(id)
        output.writes.append(.story(.worker(id), "is drained"))
        membershipChanged = true
    }

    private mutating func handle(_ message: WorkerMessage, _ payload: [UInt8], from id: WorkerID) {
        // A session that was dropped: the worker joins again and sends it once more.
        guard withWorker(id, { [now] in $0.messageCame(now: now) }) != nil else {
            return output.requests.append(.close(worker: id))
        }
        switch message {
        case .join: break
        case .receipts: break
        case .heartbeat(let heartbeat): handle(heartbeat, from: id)
        case .leave:
            left(id, .leave)
            output.requests.append(.close(worker: id))
        case .rendezvous(let round, let key):
            for membership in jobs.values.compactMap(\.membership)
            where membership.round == round && membership.members.contains(id) {
                for member in membership.members {
                    reply(member, .rendezvous(round: round, key: key), payload: payload)
                }
            }
        case .training(let round, let report): training(report, round: round, from: id)
        case .sites(let reports):
            sites.report(Array(reports.prefix(10_000)), from: id, maxReads: settings.maxReads, now: now)
        }
    }

    /// Renews, and sends again what the worker should know and does not: any message may be lost with a connection.
    private mutating func handle(_ heartbeat: Heartbeat, from id: WorkerID) {
        let void = leases.renew(heartbeat.held, worker: id, deadline: now + settings.leaseSeconds)
        if !void.isEmpty { reply(id, .revoked(void)) }
        guard
            let worker = withWorker(
                id,
                { worker in
                    (worker.round, worker.stuck) = (heartbeat.round, heartbeat.stuck?.sane)
                    return worker
                })
        else { return }
        let job = jobs.values.first { $0.membership?.members.contains(id) == true }
        if let round = heartbeat.round {
            if let job, job.membership?.round == round.round {
                withJob(job.id) { [now] in $0.heartbeat(of: id, round.phase, step: round.step, now: now) }
            } else {
                reply(id, .stopRound(round: round.round))
            }
        }
        if let job, heartbeat.round?.round != job.membership?.round { order(job.id, to: id) }
        if worker.isDraining, heartbeat.held.isEmpty, heartbeat.round == nil, leases.heldCount(id) == 0, job == nil,
            !worker.isDrained
        {
            withWorker(id) { $0.isDrained = true }
            reply(id, .drained)
        }
        if worker.takesWork { workersWithCapacity.append(id) }
    }

    /// What must hold after every event; nil where it does.
    package func validate() -> String? {
        for job in jobs.values { if let broken = job.validate() { return broken } }
        var members: OrderedSet<WorkerID> = []
        for member in jobs.values.compactMap(\.membership).flatMap(\.members)
        where !members.append(member).inserted {
            return "worker \(member) is in two rounds"
        }
        return leases.validate() ?? sites.validate()
    }
}
