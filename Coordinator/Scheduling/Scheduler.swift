import Cluster
import OrderedCollections

/// All that a coordinator decides: events in, directives out. Pure: the clock is passed in, and what the ledger must know is a directive
/// like any other. Whoever drives it commits the writes first and only then carries out the rest.
package struct Scheduler: Sendable {
    package struct Settings: Sendable {
        /// Until a silent worker's tasks are lent anew.
        package var leaseSeconds = 10.0
        /// For how long tasks that fail for a reason that may pass are tried again.
        package var patienceSeconds = 60.0
        package var leases = LeaseTable.Settings()
        package var sites = SitePolicy.Settings()
        /// Reads that all workers together may have under way at a site, by its name.
        package var readsMost: @Sendable (String) -> Int = { _ in 64 }
        package init() {}
    }

    package enum Event: Sendable {
        case tick
        case joined(worker: Int64, Hello)
        /// - died: its connection broke; else the coordinator ended it, or it said goodbye before.
        case left(worker: Int64, died: Bool)
        case message(worker: Int64, WorkerMessage, payload: [UInt8])
        /// A receipt that was looked at: `unacceptable` says why its content cannot be right.
        case receipt(worker: Int64, Receipt, digest: String, unacceptable: String?)
        case submitted(RestoredJob)
        case pause(job: Int64)
        case resume(job: Int64)
        case cancel(job: Int64)
        case drain(worker: Int64)
        case planned(job: Int64, JobStage, Result<StagePlan, PlanFailure>)
        case bundled(job: Int64, Result<String, PlanFailure>)
        case published(job: Int64, node: String, digest: String)
        case publishWaits(job: Int64, String)
        case publishedEverywhere(job: Int64)
        case publishRefused(job: Int64, String)
        /// Work that needs a credential waits while there is none.
        case credentials(missing: String?)
    }

    package enum Reply: Sendable, Equatable {
        case message(CoordinatorMessage, payload: [UInt8])
        case lend(Loan)
    }

    /// What only the shell can do; asked once the writes are committed.
    package enum Request: Sendable, Equatable {
        case plan(job: Int64, JobStage)
        case bundle(job: Int64)
        case publish(job: Int64)
        /// A receipt for a task that is not open: the ledger knows whether it was counted.
        case recall(worker: Int64, LeaseName, digest: String)
        case removeBlob(String)
        case close(worker: Int64)
    }

    package struct Output: Sendable {
        package var writes: [LedgerWrite] = []
        package var replies: [(worker: Int64, reply: Reply)] = []
        package var requests: [Request] = []
        /// For the log: a line each, warnings marked.
        package var log: [(warning: Bool, text: String)] = []

        package var isEmpty: Bool { writes.isEmpty && replies.isEmpty && requests.isEmpty && log.isEmpty }
    }

    package let settings: Settings
    package internal(set) var jobs: OrderedDictionary<Int64, JobMachine> = [:]
    package internal(set) var workers: OrderedDictionary<Int64, WorkerEntry> = [:]
    package internal(set) var leases: LeaseTable
    package internal(set) var sites: SitePolicy
    package internal(set) var credentialTrouble: String?
    var now: Double
    var output = Output()
    /// Workers that may have room, in the order in which they asked.
    var roomy: OrderedSet<Int64> = []
    /// Work was added or given back: workers without news may get some.
    var lendToAll = false
    /// The tasks with which a process seems to have died, until it is back.
    private var suspects: OrderedDictionary<String, [Int64]> = [:]
    /// Who trains what may have changed.
    var membershipChanged = false
    private var lastTick: Double
    /// Of all jobs.
    var lastRound: Int64

    package init(_ settings: Settings, _ restored: Restored, now: Double) {
        self.settings = settings
        self.now = now
        lastTick = now
        lastRound = restored.nextRound - 1
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

    /// Several may come before what follows from all of them is lent: then call `settle`.
    package mutating func handle(_ event: Event, now: Double) {
        self.now = max(self.now, now)
        switch event {
        case .tick: tick()
        case .joined(let id, let hello): joined(id, hello)
        case .left(let id, let died): left(id, died: died, saidGoodbye: false)
        case .message(let id, let message, let payload): said(message, payload, from: id)
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
            output.writes.append(.publication(job: job, node: node, digest: digest))
        case .publishWaits(let job, let reason): jobs[job]?.publishWaits = reason
        case .publishedEverywhere(let job): if jobs[job]?.stage == .publish { finish(job, .done) }
        case .publishRefused(let job, let reason): finish(job, .failed, error: reason)
        case .credentials(let missing):
            if missing == nil, credentialTrouble != nil { lendToAll = true }
            credentialTrouble = missing
        }
    }

    /// Lends what can be lent and starts what can start.
    package mutating func settle() {
        if membershipChanged { shareTrainers() }
        lend()
        let changes = sites.changes()
        if !changes.isEmpty { for id in workers.keys { reply(id, .sites(changes)) } }
        for change in changes {
            if change.excluded { warn("the site \(change.site) is excluded") }
            lendToAll = true
        }
        if lendToAll { lend() }
    }

    mutating func reply(_ worker: Int64, _ message: CoordinatorMessage, payload: [UInt8] = []) {
        output.replies.append((worker, .message(message, payload: payload)))
    }

    mutating func say(_ text: String) { output.log.append((false, text)) }
    mutating func warn(_ text: String) { output.log.append((true, text)) }

    // MARK: Time

    private mutating func tick() {
        // After a stall of our own, the messages that waited come first.
        let late = now - lastTick > max(3, settings.leaseSeconds / 2)
        lastTick = now
        guard !late else { return }
        let silence = max(settings.leaseSeconds, 10)
        for worker in workers.values where now - worker.heard > silence {
            warn(
                "worker \(worker.id) (\(worker.hello.name)) was silent for \(Int(now - worker.heard)) s and is dropped")
            output.requests.append(.close(worker: worker.id))
            left(worker.id, died: false, saidGoodbye: false)
        }
        sites.tick(now: now)
        let (overdue, killers) = leases.expire(now: now) { [workers] process in
            !process.isEmpty && workers.values.contains { $0.hello.process == process }
        }
        for lease in overdue {
            warn("the lease of task \(lease.task) ran out")
            output.writes.append(.story(.chunk, lease.task, "the lease under token \(lease.token) ran out"))
            lendToAll = true
        }
        for (task, process, isGuilty) in killers {
            output.writes.append(.kill(task: task))
            if !process.isEmpty, suspects.count < 10_000 || suspects[process] != nil {
                suspects[process, default: []].append(task)
            }
            if isGuilty { quarantine(task, "workers died with it, again and again") }
        }
        tickTrainings()
        lendToAll = lendToAll || jobs.keys.contains { leases.hasStragglers($0, now: now) || leases.hasReturned($0) }
    }

    // MARK: Workers

    private mutating func joined(_ id: Int64, _ hello: Hello) {
        workers[id] = WorkerEntry(id: id, hello: hello, now: now)
        say("worker \(id) (\(hello.name), \(hello.threads) threads) joined")
        output.writes.append(
            .story(
                .worker, id,
                "\(hello.name) joined: \(hello.threads) threads, \(hello.readAhead) tasks read ahead, kernels \(hello.kernels)"
            ))
        reply(id, .welcome(worker: id, leaseSeconds: settings.leaseSeconds))
        reply(id, .sites(sites.directives()))
        if !hello.process.isEmpty {
            for task in leases.isBack(hello.process, suspects: suspects.removeValue(forKey: hello.process) ?? []) {
                output.writes.append(.pardon(task: task))
            }
        }
        roomy.append(id)
        membershipChanged = true
    }

    mutating func left(_ id: Int64, died: Bool, saidGoodbye: Bool) {
        guard let worker = workers.removeValue(forKey: id) else { return }
        say("worker \(id) (\(worker.hello.name)) left")
        let held = leases.heldCount(id)
        output.writes.append(
            .story(
                .worker, id,
                saidGoodbye
                    ? "left"
                    : died ? "its connection broke, holding \(held) tasks" : "was dropped, holding \(held) tasks"))
        sites.workerLeft(id)
        leases.workerLeft(id, saidGoodbye: saidGoodbye, died: died ? worker.hello.process : nil, now: now)
        roomy.remove(id)
        if saidGoodbye { lendToAll = true }
        membershipChanged = true
    }

    private mutating func drain(_ id: Int64) {
        guard workers[id] != nil else { return }
        workers[id]!.draining = true
        roomy.remove(id)
        output.writes.append(.story(.worker, id, "is drained"))
        membershipChanged = true
    }

    private mutating func said(_ message: WorkerMessage, _ payload: [UInt8], from id: Int64) {
        // A session that was dropped: the worker joins again and says it once more.
        guard workers[id] != nil else { return output.requests.append(.close(worker: id)) }
        workers[id]!.heard = now
        switch message {
        case .hello: break
        case .receipts: break
        case .beat(let beat): self.beat(beat, from: id)
        case .goodbye:
            left(id, died: false, saidGoodbye: true)
            output.requests.append(.close(worker: id))
        case .rendezvous(let round, let key):
            for job in jobs.values
            where job.rounds.membership?.round == round && job.rounds.membership?.members.contains(id) == true {
                for member in job.rounds.membership!.members {
                    reply(member, .rendezvous(round: round, key: key), payload: payload)
                }
            }
        case .training(let round, let report): training(report, round: round, from: id)
        case .sites(let reports):
            sites.report(Array(reports.prefix(10_000)), from: id, readsMost: settings.readsMost, now: now)
        }
    }

    /// Renews, and says again what the worker should know and does not: any message may be lost with a connection.
    private mutating func beat(_ beat: Beat, from id: Int64) {
        leases.renew(beat.held, worker: id, deadline: now + settings.leaseSeconds)
        workers[id]!.round = beat.round
        let job = jobs.values.first { $0.rounds.membership?.members.contains(id) == true }
        if let round = beat.round {
            if job?.rounds.membership?.round == round.round {
                jobs[job!.id]!.rounds.beat(id, round.phase, step: round.step, now: now)
            } else {
                reply(id, .stopRound(round: round.round))
            }
        }
        if let job, beat.round?.round != job.rounds.membership!.round { order(job.id, to: id) }
        if let kernels = workers[id]!.changing { reply(id, .useKernels(kernels)) }
        if workers[id]!.draining, beat.held.isEmpty, beat.round == nil, leases.heldCount(id) == 0, job == nil,
            !workers[id]!.dismissed
        {
            workers[id]!.dismissed = true
            reply(id, .dismissed)
        }
        if workers[id]!.takesWork { roomy.append(id) }
    }

    // MARK: Lending

    mutating func lend() {
        if lendToAll { for worker in workers.values where worker.takesWork { roomy.append(worker.id) } }
        lendToAll = false
        guard jobs.values.contains(where: { canLend($0) }) else { return roomy.removeAll(keepingCapacity: true) }
        while let id = roomy.first {
            guard jobs.values.contains(where: { canLend($0) }) else { break }
            roomy.removeFirst()
            lend(to: id)
        }
        roomy.removeAll(keepingCapacity: true)
    }

    /// Work is left, or such as may be lent a second time.
    private func canLend(_ job: JobMachine) -> Bool {
        job.isWorking && job.stage.hasTasks && !job.paused
            && (leases.hasWork(job.id) || leases.hasStragglers(job.id, now: now))
            && (credentialTrouble == nil || job.description.credentials == nil)
    }

    /// One worker takes what it has room for: of the highest priority, of the job that has the least out, then of the oldest.
    private mutating func lend(to id: Int64) {
        guard let worker = workers[id], worker.takesWork else { return }
        var room = worker.roomMost - leases.heldCount(id)
        guard room > 0 else { return }
        var candidates = jobs.values.filter { canLend($0) && mayWork(id, on: $0) }.map(\.id)
        while room > 0, !candidates.isEmpty {
            let place =
                candidates.count == 1 ? 0 : candidates.indices.min { key(candidates[$0]) < key(candidates[$1]) }!
            let job = candidates[place]
            let stage = jobs[job]!.stage
            // With others beside it a job takes one at a time, so that shares stay equal.
            // Of the workers alone: a copy of the scheduler would have its tables copied at their next change.
            let (workers, allowed) = (workers, limited(job))
            var borrower = LeaseTable.Borrower(
                worker: id, room: candidates.count > 1 ? 1 : room, roots: worker.hello.localRoots,
                workers: workers.count
            ) {
                Self.able(allowed ?? workers.values.elements, $0)
            }
            let deadline = now + settings.leaseSeconds
            let sites = sites
            var loans = leases.lend(job, to: borrower, deadline: deadline, now: now) { Self.tasksMost($0, sites) }
            for loan in loans {
                output.writes.append(
                    leases.failures(loan.lease.task).attempts > 1 ? .lendAnew(loan) : .lend(loan, stage: stage))
            }
            if loans.isEmpty {
                borrower.room = 1
                loans = leases.lendAgain(job, to: borrower, deadline: deadline, now: now) { Self.tasksMost($0, sites) }
                for loan in loans {
                    output.writes.append(.lendTwice(loan, beside: leases.firstToken(loan.lease.task)))
                    say("task \(loan.lease.task) is lent a second time")
                }
            }
            for loan in loans { output.replies.append((id, .lend(loan))) }
            room -= loans.count
            if loans.isEmpty { candidates.remove(at: place) }
        }
    }

    private func key(_ job: Int64) -> (Int, Int, Int64) { (-jobs[job]!.description.priority, leases.out(job), job) }

    /// Where a job limits its workers, those: the first of those that can do some of it.
    private func limited(_ job: Int64) -> [WorkerEntry]? {
        guard let most = jobs[job]?.description.workersMost else { return nil }
        return Array(
            workers.values.lazy.filter { $0.takesWork && self.leases.offers(job, roots: $0.hello.localRoots) }.prefix(
                most))
    }

    private func mayWork(_ worker: Int64, on job: JobMachine) -> Bool {
        limited(job.id)?.contains { $0.id == worker } ?? true
    }

    /// How many workers may and can do a job's work at a path.
    func able(_ job: Int64, _ localPath: String?) -> Int {
        Self.able(limited(job) ?? workers.values.elements, localPath)
    }

    private static func able(_ workers: [WorkerEntry], _ localPath: String?) -> Int {
        workers.count { worker in
            worker.takesWork && localPath.map { mayRead($0, below: worker.hello.localRoots) } ?? true
        }
    }

    /// While any of its sites will do, a queue's tasks are lent.
    private static func tasksMost(_ queue: String, _ sites: SitePolicy) -> Int {
        siteNames(queue).map(sites.tasksMost).max() ?? .max
    }

    package static func siteNames(_ queue: String) -> [String] { queue.split(separator: " ").map(String.init) }

    /// What must hold after every event; nil where it does.
    package func validate() -> String? {
        for job in jobs.values { if let broken = job.validate() { return broken } }
        var members: OrderedSet<Int64> = []
        for member in jobs.values.compactMap(\.rounds.membership).flatMap(\.members)
        where !members.append(member).inserted {
            return "worker \(member) is in two rounds"
        }
        for job in jobs.values {
            if let member = job.rounds.membership?.members.first(where: {
                workers[$0].map { $0.hello.kernels != job.kernels } ?? false
            }) {
                return "worker \(member) trains job \(job.id) with other kernels than \(job.kernels ?? "none")"
            }
        }
        return leases.validate() ?? sites.validate()
    }
}
