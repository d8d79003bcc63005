import Bytes
import Cluster
import Foundation
import Ledger
import Scheduling
import Specs
import Wire

extension Coordinator {
    /// A worker said hello.
    func join(
        name: String, threads: Int, readAhead: Int, localRoots: [String], send: AsyncStream<Beamline_Envelope>.Continuation
    ) throws -> Int64 {
        let id = try ledger.next("worker")
        workers[id] = WorkerSession(
            name: name, threads: min(max(1, threads), 1024), readAhead: min(max(0, readAhead), 4096), localRoots: localRoots, send: send)
        log.info("worker \(id) (\(name), \(threads) threads) joined")
        tell(id, .welcome(worker: id, leaseSeconds: leaseSeconds))
        tell(id, .catalog(catalog))
        tell(id, .sites(sites.directives()))
        if let lentToken { tell(id, .credential, payload: Array(lentToken.utf8)) }
        try membershipChanged()
        try lend()
        return id
    }

    /// A worker says something every second. One that was silent for long is stopped or unreachable: nobody shall wait for it.
    func dropSilentWorkers(_ now: Double) {
        for (id, worker) in workers where now - worker.heard > max(leaseSeconds, 10) {
            log.warning("worker \(id) (\(worker.name)) was silent for \(Int(now - worker.heard)) s")
            worker.send.finish()
            leave(id)
        }
    }

    /// A round goes on where its members are still those that the next one would have.
    private func membershipChanged() throws {
        guard let job = active, let manifest = job.manifest else { return }
        if case .running(let members) = job.rounds.state, Array(trainers().prefix(manifest.lanes.count)) == members { return }
        if let action = active!.rounds.membershipChanged(now: Self.now()) { try perform(action) }
    }

    func leave(_ id: Int64) {
        guard let worker = workers.removeValue(forKey: id) else { return }
        log.info("worker \(id) (\(worker.name)) left")
        sites.workerLeft(id)
        do {
            try membershipChanged()
        } catch { log.error("\(error)") }
    }

    func tell(_ worker: Int64, _ message: CoordinatorMessage, payload: [UInt8] = []) {
        guard let session = workers[worker] else { return }
        do { session.send.yield(try WireCoding.envelope(message, payload: payload)) } catch { log.error("\(error)") }
    }

    func receive(_ message: WorkerMessage, payload: [UInt8], from worker: Int64) throws {
        guard workers[worker] != nil else {
            // Ends the session; the worker connects again and says its receipts once more.
            throw FormatError(.deadline, "this worker was silent for too long and was dropped", hint: "It joins again by itself.")
        }
        workers[worker]!.heard = Self.now()
        switch message {
        case .hello: break
        case .renew(let leases):
            active?.leases.renew(leases, worker: worker, deadline: Self.now() + leaseSeconds)
        case .receipt(let lease, let result):
            try receipt(lease, result, payload, from: worker)
        case .rendezvous(let round, let key):
            guard let job = active, job.rounds.round == round, case .running(let members) = job.rounds.state else { return }
            for member in members { tell(member, .rendezvous(round: round, key: key), payload: payload) }
        case .training(let round, let report):
            try training(report, round: round, from: worker)
        case .sites(let reports):
            sites.report(reports.prefix(10_000).map { $0 }, from: worker, readsMost: { catalog.limits(ofSite: $0).readsMost }, now: Self.now())
            try tellSites()
        }
    }

    private func receipt(_ lease: LeaseName, _ result: TaskResult, _ payload: [UInt8], from worker: Int64) throws {
        workers[worker]?.leases.remove(lease)
        guard var job = active, let task = job.tasks[lease.task] else {
            return tell(worker, .refused(lease, reason: "task \(lease.task) is not wanted any more"))
        }
        let digest = BlobStore.digest(Array(try Ledger.json(result).utf8) + payload)
        switch job.leases.judge(lease, digest: digest) {
        case .refuse(let reason): return tell(worker, .refused(lease, reason: reason))
        case .countedAlready: return tell(worker, .acknowledged(lease))
        case .count: break
        }
        if case .failed(let reason, let transient) = result {
            if transient, try isWorthAnotherTry(lease.task) {
                log.warning("task \(lease.task) failed and is tried again: \(reason)")
                active!.leases.handedIn(lease.task)
                return tell(worker, .acknowledged(lease))
            }
            guard job.description.onError == .skip, task.file != nil else {
                tell(worker, .acknowledged(lease))
                return try finish(.failed, error: reason)
            }
        }
        do {
            try checkKind(result, task)
            try checkSpecs(result, payload, task)
        } catch {
            active!.leases.handedIn(lease.task)
            log.error("a receipt of worker \(workers[worker]?.name ?? "?") is refused: \(error)")
            tell(worker, .refused(lease, reason: "\(error)"))
            if try ledger.attempts(lease.task) >= 5 { try finish(.failed, error: "task \(lease.task) gives no acceptable receipt: \(error)") }
            return
        }
        try ledger.count(lease, digest: digest, result, specs: payload, task: task, job: job.id)
        job.leases.settle(lease, digest: digest)
        if case .failed(let reason, _) = result, let file = task.file {
            job.leases.remove(job.tasks.values.filter { $0.file == file }.map(\.id))
            active = job
            try addNotes(["skipped: \(reason)"])
        }
        if case .counted(let bytes, _) = result, case .chunk(let chunk) = task.body {
            let site = catalog.siteName(chunk.input.file.url)
            job.traffic[site, default: (0, 0)].events += (chunk.boundaries.last ?? 0) - (chunk.boundaries.first ?? 0)
            job.traffic[site, default: (0, 0)].bytes += Int64(max(0, min(bytes, 1 << 50)))
        }
        active = job
        Self.pauseForTests("before-acknowledge")
        tell(worker, .acknowledged(lease))
        try lend()
        try advanceIfComplete()
    }

    /// A stopping place for tests that kill the process there: `BEAMLINE_TEST_DIE_AT` names it.
    private static func pauseForTests(_ place: String) {
        if let wanted = ProcessInfo.processInfo.environment["BEAMLINE_TEST_DIE_AT"], wanted == place { raise(SIGKILL) }
    }

    /// A task that failed for a reason that may pass is tried three times at least, and as long as the coordinator's patience lasts: a site that is
    /// away for a minute does not fail a job of days.
    private func isWorthAnotherTry(_ task: Int64) throws -> Bool {
        let now = Self.now()
        let since = active!.failingSince[task] ?? now
        active!.failingSince[task] = since
        return try ledger.attempts(task) < 3 || now - since < patienceSeconds
    }

    /// A receipt must answer what was asked, and a survey must make sense: all that follows is planned from it.
    private func checkKind(_ result: TaskResult, _ task: Ledger.TaskRecord) throws {
        func broken(_ text: String) -> FormatError { FormatError(.corrupt, text, object: "task \(task.id)") }
        switch (result, task.body) {
        case (.failed, _), (.counted, .chunk): return
        case (.listed(let files), .list):
            guard !files.contains(where: { $0.urls.isEmpty || $0.urls.count > 1000 }) else { throw broken("a list has a file without places") }
        case (.surveyed(let survey), .survey):
            let bounds = survey.boundaries
            guard survey.bytes >= 0, (0...Int64(1) << 40).contains(survey.entries), bounds.first == 0, bounds.last == survey.entries,
                zip(bounds, bounds.dropFirst()).allSatisfy(<), survey.clusters.count <= bounds.count + 2_000_000
            else { throw broken("a survey's blocks make no sense") }
        default: throw broken("a receipt is not of its task's kind")
        }
    }

    /// A worker's partial specs must be of the task's blocks and branches.
    private func checkSpecs(_ result: TaskResult, _ payload: [UInt8], _ task: Ledger.TaskRecord) throws {
        guard case .counted = result, case .chunk(let chunk) = task.body else { return }
        let blocks = try SpecsCoding.decode(payload)
        guard blocks.count == chunk.boundaries.count - 1, blocks.allSatisfy({ $0[0].branches.count == chunk.branches.count }) else {
            throw FormatError(.corrupt, "a receipt's specs are not of its chunk", object: "task \(task.id)")
        }
        let sane = blocks.joined().allSatisfy { part in
            (0...Int64(1 << 40)).contains(part.rows)
                && part.branches.allSatisfy { $0.values >= 0 && $0.nonfinite >= 0 && (0...Int64(1 << 31)).contains($0.multiplicity) }
        }
        guard sane else { throw FormatError(.corrupt, "a receipt's counts make no sense", object: "task \(task.id)") }
        for (index, parts) in blocks.enumerated() where parts.reduce(0, { $0 + $1.rows }) != chunk.boundaries[index + 1] - chunk.boundaries[index] {
            throw FormatError(.corrupt, "a receipt does not count each entry once", object: "task \(task.id)")
        }
    }

    /// A local path is read only by workers that declared a directory above it.
    static func canRead(_ url: String, roots: [String]) -> Bool {
        guard let path = localPath(of: url) else { return true }
        return mayRead(path, below: roots)
    }

    func lend() throws {
        // Without the token that the job lends, sites would only refuse.
        guard active != nil, active!.stage.hasTasks, tokenTrouble == nil else { return }
        for id in workers.keys.sorted() {
            let worker = workers[id]!
            let room = worker.threads + worker.readAhead - worker.leases.count
            guard room > 0 else { continue }
            let lent = active!.leases.lend(to: id, room: room, deadline: Self.now() + leaseSeconds, tasksMost: tasksMost) {
                Self.canRead($0, roots: worker.localRoots)
            }
            guard !lent.isEmpty else { continue }
            try ledger.recordLeases(lent, worker: id)
            for lease in lent {
                workers[id]!.leases.insert(lease)
                tell(id, .lease(lease, active!.tasks[lease.task]!.body))
            }
        }
    }

    /// A queue's name: the sites that may have its tasks' data, the user's first.
    func queueName(_ body: TaskBody) -> String {
        let urls = switch body {
        case .list(let pattern): [pattern]
        case .survey(let file, _, _): file.urls
        case .chunk(let chunk): chunk.input.file.urls
        }
        var names: [String] = []
        for place in catalog.places(urls) where !names.contains(place.site) { names.append(place.site) }
        return names.joined(separator: " ")
    }

    static func siteNames(_ queue: String) -> [String] { queue.split(separator: " ").map(String.init) }

    /// While any of its sites will do, a queue's tasks are lent.
    private func tasksMost(_ queue: String) -> Int { Self.siteNames(queue).map(sites.tasksMost).max() ?? .max }

    /// Lends the running job's token where the job says so, again whenever it was renewed, and takes it back at the job's end.
    func lendToken() {
        var token: String?
        tokenTrouble = nil
        if active?.description.credentials == .forward, let bearerToken {
            do {
                token = try bearerToken()
                if token == nil { tokenTrouble = "a bearer token: the coordinator finds none to forward" }
            } catch { tokenTrouble = "a bearer token: \(error)" }
        }
        guard token != lentToken else { return }
        lentToken = token
        for id in workers.keys { tell(id, .credential, payload: Array((token ?? "").utf8)) }
    }

    /// Tells every worker what it may do at which site, where that changed.
    func tellSites() throws {
        let changes = sites.changes()
        guard !changes.isEmpty else { return }
        for id in workers.keys { tell(id, .sites(changes)) }
        for change in changes where change.excluded { log.warning("the site \(change.site) is excluded: \(sites.health(change.site))") }
        try lend()
    }
}
