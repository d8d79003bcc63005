import Cluster
import Scheduling
import Session
import Specs

extension World {
    /// Every second.
    func tick(_ worker: SimWorker) throws {
        clock.at(clock.now + 1) { [self] in try tick(worker) }
        guard worker.isAlive, worker.stoppedUntil <= clock.now else { return }
        worker.session.round = worker.member.heartbeat
        for message in worker.session.tick(now: clock.now) { send(message, from: worker) }
        if let broken = worker.session.validate() { throw SimWrong("worker \(worker.index): \(broken)") }
    }

    func handle(_ message: CoordinatorMessage, _ payload: [UInt8], _ worker: SimWorker) throws {
        switch message {
        case .welcome(_, let seconds, _): worker.session.welcomed(leaseSeconds: seconds)
        case .grants(let grants): for grant in worker.session.granted(grants) { begin(grant, worker) }
        case .acknowledged(let leases):
            for lease in leases {
                if done[lease] == true, !checker.wasCounted(lease) {
                    throw SimWrong("\(lease) was acknowledged and is not in the ledger")
                }
                record.note(clock.now, "\(lease.task) \(lease.token) is acknowledged to \(worker.index)")
            }
            worker.session.settled(leases)
        case .rejected(let lease, let reason):
            record.note(clock.now, "\(lease.task) is rejected: \(reason)")
            worker.session.settled([lease])
        case .revoked(let leases): worker.session.settled(leases)
        case .startRound(let order): try self.order(order, worker)
        case .stopRound(let round): try carryOut(worker.member.stopped(round: round), worker)
        case .rendezvous(let round, let key): try rendezvous(round, key, worker)
        case .drained:
            worker.session.drained()
            if let connection = worker.connection { close(connection) }
        case .catalog, .sites, .credential: break
        }
    }

    private func begin(_ grant: Grant, _ worker: SimWorker) {
        let life = worker.life
        var duration = random.between(0.02, 0.6)
        if case .chunk(let task) = grant.body { duration *= Double(task.boundaries.count - 1) }
        if random.chance(planted == .noFencing ? 0.4 : 0.02) { duration *= 30 }
        let end = clock.now + duration
        clock.at(end) { [self] in finish(grant, worker, life) }
    }

    private func finish(_ grant: Grant, _ worker: SimWorker, _ life: Int) {
        guard life == worker.life, worker.isAlive else { return }
        if worker.stoppedUntil > clock.now {
            return clock.at(worker.stoppedUntil) { [self] in finish(grant, worker, life) }
        }
        guard let receipt = receipt(grant, worker) else { return crash(worker, "it read a deadly file") }
        // A grant that came twice may fail once: what is acknowledged then may be the failure.
        if case .failed = receipt.result {
            done[grant.lease] = false
        } else if done[grant.lease] == nil {
            done[grant.lease] = true
        }
        if let message = worker.session.finished(receipt, now: clock.now) { send(message, from: worker) }
    }

    /// What comes of the work; nil where the worker dies of it.
    private func receipt(_ grant: Grant, _ worker: SimWorker) -> Receipt? {
        func failed(_ reason: String, transient: Bool) -> Receipt {
            Receipt(grant.lease, .failed(reason: reason, transient: transient))
        }
        if worker.isFaulty, isFaulty, random.chance(0.5) {
            return failed("this worker does everything wrong", transient: false)
        }
        switch grant.body {
        case .list(let pattern):
            let parts = pattern.split(separator: " ").map { Int($0)! }
            return Receipt(grant.lease, .listed(jobs[JobID(parts[0])]!.files[parts[1]].map { FileReplicas($0.url) }))
        case .survey(let replicas, let job, _):
            let file = file(replicas.url, JobID(text: job)!)
            if siteAway[file.site] > clock.now { return failed("the site \(file.site) is away", transient: true) }
            return Receipt(grant.lease, .surveyed(file.survey))
        case .chunk(let task):
            let job = JobID(text: task.input.tree)!
            let file = file(task.input.file.url, job)
            if file.isDeadly { return nil }
            if file.isBroken { return failed("\(file.url) is broken", transient: false) }
            if siteAway[file.site] > clock.now { return failed("the site \(file.site) is away", transient: true) }
            let first = file.boundaries.firstIndex(of: task.boundaries[0])!
            let blocks = (first..<first + task.boundaries.count - 1).map {
                file.specs(block: $0, split: jobs[job]!.description.split)
            }
            return Receipt(
                grant.lease, .counted(bytesRead: 100, seconds: 0.1 * Double(blocks.count)),
                specs: SpecsCoding.encode(blocks))
        }
    }

    private func file(_ url: String, _ job: JobID) -> SimFile { jobs[job]!.all.first { $0.url == url }! }

    // MARK: Faults of workers

    /// Dies, and a new process follows after a while.
    func crash(_ worker: SimWorker, _ reason: String) {
        guard worker.isAlive else { return }
        record.note(clock.now, "worker \(worker.index) dies: \(reason)")
        worker.isAlive = false
        dropMember(worker)
        worker.life += 1
        if let connection = worker.connection { close(connection) }
        worker.connection = nil
        let life = worker.life
        clock.at(clock.now + random.between(0.3, 8)) { [self] in
            guard life == worker.life else { return }
            worker.isAlive = true
            worker.request.process = "w\(worker.index) \(worker.life)"
            worker.stoppedUntil = 0
            worker.restart()
            try connect(worker)
        }
    }
}
