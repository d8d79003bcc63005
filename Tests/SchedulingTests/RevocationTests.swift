import Cluster
import Scheduling
import Session
import Testing

/// Workers stop what nobody waits for any more.
@Suite struct RevocationTests {
    private func scheduler(_ patterns: [String], onError: JobDescription.OnError = .fail) -> Scheduler {
        var job = JobDescription(name: "j", datasets: [.init(name: "a", label: 0, tree: "t", files: patterns)])
        job.onError = onError
        var restored = Restored()
        var entry = RestoredJob(id: 1, description: job, stage: .list)
        entry.units = patterns.indices.map { WorkUnit(id: .pattern($0), sites: ["root://s"]) }
        entry.unitCount = patterns.count
        restored.jobs = [entry]
        return Scheduler(.init(), restored, now: 0)
    }

    /// A worker joins, and gets what there is.
    private func join(_ scheduler: inout Scheduler, _ id: WorkerID, now: Double = 0) -> [LeaseName] {
        scheduler.handle(
            .joined(
                worker: id, JoinRequest(name: "w\(id)", threads: 4, readAhead: 0, localRoots: [], version: "1")),
            now: now)
        scheduler.settle()
        return scheduler.take().replies.compactMap { worker, reply in
            guard worker == id, case .assign(let assignment) = reply else { return nil }
            return assignment.lease
        }
    }

    private func revoked(_ scheduler: inout Scheduler, at id: WorkerID) -> [LeaseName] {
        scheduler.take().replies.flatMap { worker, reply -> [LeaseName] in
            guard worker == id, case .message(.revoked(let leases), _) = reply else { return [] }
            return leases
        }
    }

    @Test func aCancelledJobsTasksAreRevoked() {
        var scheduler = scheduler(["root://s//a", "root://s//b"])
        let leases = join(&scheduler, 7)
        #expect(leases.count == 2)
        scheduler.handle(.cancel(job: 1), now: 1)
        #expect(revoked(&scheduler, at: 7).sorted { $0.task < $1.task } == leases)
        #expect(scheduler.validate() == nil)
    }

    /// The message may be lost: a heartbeat that reports such a lease has it sent again, and no other.
    @Test func aHeartbeatLearnsWhatIsVoid() {
        var scheduler = scheduler(["root://s//a", "root://s//b"])
        let leases = join(&scheduler, 7)
        let unknown = LeaseName(task: 99, token: 5)
        scheduler.handle(.message(worker: 7, .heartbeat(Heartbeat(held: leases + [unknown])), payload: []), now: 1)
        #expect(revoked(&scheduler, at: 7) == [unknown])
        scheduler.handle(.cancel(job: 1), now: 2)
        _ = scheduler.take()
        scheduler.handle(.message(worker: 7, .heartbeat(Heartbeat(held: leases)), payload: []), now: 3)
        #expect(revoked(&scheduler, at: 7) == leases)
    }

    /// The other holder of a task that two workers had.
    @Test func theSlowerOfTwoHoldersStops() throws {
        var scheduler = scheduler(["root://s//a"])
        let slow = try #require(join(&scheduler, 7).first)
        let quick = try #require(join(&scheduler, 8, now: 16).first)
        #expect(quick.task == slow.task && quick.token != slow.token)
        scheduler.handle(
            .receipt(worker: 8, Receipt(quick, .listed([FileReplicas("root://s//a")])), digest: "d", unacceptable: nil),
            now: 16.5)
        #expect(revoked(&scheduler, at: 7) == [slow])
    }

    @Test func aJobWithTooManyFilesFailsAndRepeatedNamesAreNoted() throws {
        let patterns = (0..<5).map { "root://s//\($0).txt" }
        var scheduler = scheduler(patterns)
        let leases = join(&scheduler, 7) + join(&scheduler, 8)
        #expect(leases.count == 5)
        let files = [FileReplicas](repeating: FileReplicas("root://s//a"), count: ListingLimits.files)
        var writes: [LedgerWrite] = []
        for (index, lease) in leases.enumerated() {
            scheduler.handle(
                .receipt(
                    worker: index < 4 ? 7 : 8, Receipt(lease, .listed(files, repeated: 3)), digest: "d",
                    unacceptable: nil),
                now: 1)
            let output = scheduler.take()
            writes += output.writes
            #expect(
                output.writes.contains { if case .job(1, .stage(.failed, _)) = $0 { true } else { false } }
                    == (index == 4))
        }
        let notes = writes.compactMap { if case .job(1, .notes(let notes)) = $0 { notes } else { nil } }.joined()
        #expect(notes.count == 5 && notes.allSatisfy { $0.contains("3 times") }, "\(Array(notes))")
        #expect(scheduler.jobs.isEmpty)
    }

    @Test func aWorkersStuckThreadsAreKeptUntilItsNextHeartbeat() {
        var scheduler = scheduler(["root://s//a"])
        _ = join(&scheduler, 7)
        let long = String(repeating: "x", count: 5000)
        let stuck = Heartbeat.Stuck(threads: 3, file: long, seconds: .infinity)
        scheduler.handle(.message(worker: 7, .heartbeat(Heartbeat(held: [], stuck: stuck)), payload: []), now: 1)
        let kept = scheduler.workers[7]?.stuck
        #expect(kept?.threads == 3 && kept?.seconds == 0 && (kept?.file.utf8.count ?? .max) <= 1000)
        scheduler.handle(.message(worker: 7, .heartbeat(Heartbeat(held: [])), payload: []), now: 2)
        #expect(scheduler.workers[7]?.stuck == nil)
    }

    /// The worker's side: nothing is owed for what was revoked, whether it is worked on or waits to be answered.
    @Test func aWorkerForgetsWhatIsRevoked() {
        var session = SessionMachine()
        let leases = (1...3).map { LeaseName(task: TaskID($0), token: 1) }
        _ = session.connected(now: 0)
        #expect(session.granted(leases.map { Grant($0, .list(pattern: "p")) }).count == 3)
        #expect(session.finished(Receipt(leases[0], .listed([])), now: 1) != nil)
        session.settled([leases[0], leases[1]])
        #expect(leases.map { session.holds($0) } == [false, false, true])
        #expect(session.finished(Receipt(leases[1], .listed([])), now: 2) == nil && session.validate() == nil)
        session.disconnected()
        #expect(session.connected(now: 3) == [.heartbeat(Heartbeat(held: [leases[2]]))])
    }
}
