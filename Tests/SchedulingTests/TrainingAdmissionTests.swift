import Cluster
import Scheduling
import Testing

/// A training and the workers that it needs, through the whole scheduler.
@Suite struct TrainingAdmissionTests {
    private static let gigabyte: Int64 = 1 << 30

    private func scheduler(memory: TrainingMemory?, workers: [(WorkerID, Int64)]) -> (Scheduler, StagePlan) {
        var description = JobDescription(name: "j", datasets: [.init(name: "a", label: 0, tree: "t", files: ["f"])])
        description.train = JobDescription.Training()
        var restored = Restored()
        restored.jobs = [RestoredJob(id: 1, description: description, stage: .train)]
        var scheduler = Scheduler(.init(), restored, now: 0)
        for (id, bytes) in workers { join(id, bytes, &scheduler, at: 0) }
        var plan = StagePlan()
        plan.training = TrainingFacts(dataPlan: "d", trainingPlan: "t", lanes: 8, localPaths: [], files: [])
        plan.training?.memory = memory
        return (scheduler, plan)
    }

    private func join(_ id: WorkerID, _ bytes: Int64, _ scheduler: inout Scheduler, at now: Double) {
        var request = JoinRequest(name: "w\(id)", threads: 2, readAhead: 0, localRoots: [], version: "t")
        (request.memoryBytes, request.process) = (bytes, "p\(id)")
        scheduler.handle(.joined(worker: id, request), now: now)
        scheduler.settle()
        _ = scheduler.take()
    }

    private func error(_ output: Scheduler.Output) -> String? {
        for case .job(_, .stage(.failed, let error)) in output.writes { return error }
        return nil
    }

    /// Of a round's start.
    private func members(_ output: Scheduler.Output) -> [WorkerID] {
        output.replies.compactMap { reply in
            if case .message(.startRound, _) = reply.reply { reply.worker } else { nil }
        }
    }

    private static let need = TrainingMemory(sharedBytes: 3 * 1_073_741_824, threadBytes: 1_073_741_824, maxThreads: 8)

    @Test func aTrainingThatFitsNoWorkerFailsAtItsStart() throws {
        var (scheduler, plan) = scheduler(memory: Self.need, workers: [(1, 2 * Self.gigabyte), (2, 4 * Self.gigabyte)])
        scheduler.handle(.planned(job: 1, .train, .success(plan)), now: 0)
        let reason = try #require(error(scheduler.take()))
        #expect(reason.contains("takes about 5.0 GiB") && reason.contains("w1 has 2.0 GiB, w2 has 4.0 GiB"))
        #expect(scheduler.jobs.isEmpty)
    }

    @Test func workersThatAreTooSmallStayAway() {
        var (scheduler, plan) = scheduler(
            memory: Self.need, workers: [(1, 4 * Self.gigabyte), (2, 5 * Self.gigabyte), (3, 0)])
        scheduler.handle(.planned(job: 1, .train, .success(plan)), now: 0)
        scheduler.settle()
        let notes = scheduler.take().writes.compactMap { write -> [String]? in
            if case .job(_, .notes(let notes)) = write { notes } else { nil }
        }
        #expect(notes.joined().contains { $0.contains("too small for it: w1 has 4.0 GiB") })
        scheduler.handle(.tick, now: 1)
        #expect(members(scheduler.take()) == [2, 3])
        #expect(scheduler.validate() == nil)
    }

    /// Each new worker dies with its round: after the second the job fails, and not before its time.
    @Test func aTrainingThatKillsFails() throws {
        var (scheduler, plan) = scheduler(memory: nil, workers: [])
        scheduler.handle(.planned(job: 1, .train, .success(plan)), now: 0)
        var failed: (at: Double, reason: String)?
        var now = 0.0
        for number in 1...4 where failed == nil {
            let id = WorkerID(number)
            join(id, 0, &scheduler, at: now)
            var isMember = false
            for _ in 0..<30 where failed == nil {
                now += 0.5
                scheduler.handle(.tick, now: now)
                scheduler.settle()
                let output = scheduler.take()
                failed = error(output).map { (now, $0) }
                if members(output).contains(id), !isMember {
                    isMember = true
                    scheduler.handle(.left(worker: id, died: true), now: now)
                }
            }
            #expect(isMember || failed != nil)
        }
        let end = try #require(failed)
        #expect(end.reason.contains("workers died with it") && end.reason.contains("2 training rounds"))
        #expect(end.at > 20 && end.at < 32)
    }

    /// Workers that leave, are drained or dropped do not die.
    @Test func thoseThatGoForReasonsOfTheirOwnFailNoJob() {
        var (scheduler, plan) = scheduler(memory: nil, workers: [])
        scheduler.handle(.planned(job: 1, .train, .success(plan)), now: 0)
        var now = 0.0
        for number in 1...6 {
            let id = WorkerID(number)
            join(id, 0, &scheduler, at: now)
            for step in 0..<30 {
                now += 0.5
                scheduler.handle(.tick, now: now)
                if step == 4 { #expect(scheduler.jobs[1]?.membership?.members == [id]) }
                if step == 5 {
                    switch number % 3 {
                    case 0: scheduler.handle(.left(worker: id, died: false), now: now)
                    case 1: scheduler.handle(.message(worker: id, .leave, payload: []), now: now)
                    default:
                        scheduler.handle(.drain(worker: id), now: now)
                        scheduler.settle()
                        scheduler.handle(.left(worker: id, died: true), now: now)
                    }
                }
                scheduler.settle()
                #expect(error(scheduler.take()) == nil)
            }
        }
        #expect(scheduler.jobs[1] != nil)
    }
}
