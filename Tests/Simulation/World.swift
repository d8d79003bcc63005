import Cluster
import Member
import Sampling
import Scheduling
import Specs

/// How a simulation ended.
public enum SimEnd: Sendable, Equatable {
    case fine
    /// A checker or a validator found something.
    case wrong(String)
    /// The faults had stopped long ago, and a job had not ended.
    case stuck(String)
}

/// What one seed gave.
public struct SimResult: Sendable {
    public var end: SimEnd
    /// Of all that happened: the same for the same seed, in every process.
    public var transcript: UInt64
    public var events: Int
    public var seconds: Double
    public var summary: String
    /// Jobs, and those that were done in the end.
    public var jobs: Int
    public var done: Int
}

/// Runs one seed.
/// - Parameters:
///   - maxEvents: gives up as stuck after so many.
///   - prints: every line of the transcript.
public func simulate(
    seed: UInt64, maxEvents: Int = 3_000_000, planted: PlantedFault? = nil, prints: Bool = false
) -> SimResult {
    simulate(seed: seed, maxEvents: maxEvents, planted: planted, prints: prints, mirror: nil)
}

/// - Parameter mirror: another ledger that is given the same and must answer the same.
package func simulate(
    seed: UInt64, maxEvents: Int = 3_000_000, planted: PlantedFault? = nil, prints: Bool = false, mirror: LedgerMirror?
) -> SimResult {
    let world = World(seed: seed, planted: planted)
    world.record.prints = prints
    world.ledger.mirror = mirror
    let end = world.run(maxEvents: maxEvents)
    let ends = world.ledger.jobs.values.map(\.stage.rawValue).joined(separator: " ")
    let summary =
        "\(world.workers.count) workers, \(world.jobs.count) jobs, \(world.faultsMade) faults, ends \(ends)"
    return SimResult(
        end: end, transcript: world.record.hash.value, events: world.events, seconds: world.clock.now, summary: summary,
        jobs: world.ledger.jobs.count,
        done: world.ledger.jobs.values.count { $0.stage == .done })
}

/// A coordinator, its ledger, workers, sites and the network between them, all drawn from one seed.
///
/// The machines are the real ones: CoordinatorCore with its Scheduler, SessionMachine, MemberMachine, LaneOrder, the
/// planners, the folding of specs. Simulated are the ledger's disk, the network, the sites' files and the arithmetic of
/// a training step.
// SAFETY: a world lives within one call of `simulate`, on that call's thread. The closures that it gives to the core
// must be `@Sendable`, but the core runs on the same thread and calls them there.
final class World: @unchecked Sendable {
    struct Connection {
        let worker: Int
        let number: WorkerID
        var isOpen = true
        /// When the last message that must keep its order arrives, in each direction.
        var lastToWorker = 0.0
        var lastToCoordinator = 0.0
    }

    var random: SeededRandom
    var clock = SimClock()
    var record = SimRecord()
    var jobs: [JobID: SimJob] = [:]
    let ledger = SimLedger()
    var core: CoordinatorCore<SimLedger>?
    var coordinatorLife = 0
    var inbox: [Scheduler.Event] = []
    var workers: [SimWorker] = []
    var connections: [Connection] = []
    /// By the coordinator's number.
    var connectionOf: [WorkerID: Int] = [:]
    var nextNumber = WorkerID(1)
    /// Until when a worker's link is cut, to and from the coordinator.
    var cut: [(to: Double, from: Double)] = []
    var siteAway: [Double] = []
    var schedules: [String: LaneSchedule] = [:]
    var blobs: [String: SimWeights] = [:]
    /// What members stated, by job and round.
    var statements: [String: RoundStatementTable] = [:]
    var sums: [String: SimSum] = [:]
    /// Members that left a round: what is added up with them fails.
    var lost: [RoundNumber: Bool] = [:]
    var checker = LeaseChecker()
    var truths: [String: Truth] = [:]
    /// Receipts of work that was done, by lease.
    var done: [LeaseName: Bool] = [:]
    var faultsUntil = 0.0
    var faultsMade = 0
    var events = 0
    var cancelled: Set<JobID> = []
    var wallOffset = 0.0
    var hasDroppedEpoch = false
    /// Sites that were away at some time.
    var awaySites: Set<Int> = []
    /// How many connections of workers the coordinator saw end: deaths, real and apparent.
    var deaths = 0
    let planted: PlantedFault?
    var settings = Scheduler.Settings()
    var failure: SimEnd?

    init(seed: UInt64, planted: PlantedFault?) {
        random = SeededRandom(seed: seed)
        self.planted = planted
        settings.leaseSeconds = random.between(2, 12)
        // So short that late receipts are common.
        if planted == .noFencing { settings.leaseSeconds = 0.7 }
        settings.retrySeconds = random.between(2, 30)
        settings.leases.speculateAfter = random.between(1, 8)
        settings.leases.secondsWanted = random.between(0.2, 5)
        settings.leases.ignoresTokens = planted == .noFencing
        ledger.planted = planted
        siteAway = .init(repeating: 0, count: 1 + random.below(3))
        for index in 0..<1 + random.below(6) { addWorker(index) }
        faultsUntil = random.between(10, 90)
    }

    private func addWorker(_ index: Int) {
        var request = JoinRequest(
            name: "w\(index)", threads: 1 + random.below(3), readAhead: random.below(3), localRoots: [], version: "sim")
        request.instructionSet = ["portable", "avx2", "avx512"][random.below(3)]
        request.process = "w\(index) 0"
        request.joinsRounds = !random.chance(0.05)
        var member = MemberMachine.Settings()
        // Epochs last seconds here.
        member.checkpointSeconds = random.between(0.1, 4)
        let worker = SimWorker(
            index: index, request: request, isFaulty: index > 0 && random.chance(0.1), memberSettings: member)
        workers.append(worker)
        cut.append((0, 0))
        clock.at(random.between(0, 3)) { [self] in try connect(worker) }
        clock.at(random.between(0, 1)) { [self] in try tick(worker) }
    }

    // MARK: Running

    func run(maxEvents: Int) -> SimEnd {
        do {
            try startCoordinator()
            for _ in 0..<1 + random.below(3) { clock.at(random.between(0, 20)) { [self] in submit() } }
            if planted == nil || planted == .noFencing {
                clock.at(random.between(0.5, 5)) { [self] in try nextFault() }
            }
            clock.at(faultsUntil) { [self] in try endFaults() }
            while events < maxEvents, let body = clock.next() {
                events += 1
                try body()
                if isOver { return try finalChecks() }
                if clock.now > faultsUntil + 4000 { break }
            }
            let open = ledger.jobs.filter { !$0.value.stage.isFinal }.map {
                "job \($0.key) in \($0.value.stage.rawValue)"
            }
            return .stuck("after \(events) events and \(Int(clock.now)) s: \(open.joined(separator: ", "))")
        } catch { return .wrong("at \(clock.now) s: \(error)") }
    }

    private var isOver: Bool {
        clock.now > faultsUntil && !ledger.jobs.isEmpty && ledger.jobs.values.allSatisfy(\.stage.isFinal)
            && clock.now > 20
    }

    private func submit() {
        let id = ledger.add(drawJob())
        record.note(clock.now, "job \(id) is submitted")
        // Where the coordinator is away, it finds the job when it comes back.
        if core != nil {
            post(.submitted(RestoredJob(id: id, description: ledger.jobs[id]!.description, stage: .queued)))
        }
    }

    private func drawJob() -> JobDescription {
        var job = JobDescription(name: "j", datasets: [])
        let id = JobID(ledger.jobs.count + 1)
        var files: [[SimFile]] = []
        for dataset in 0..<1 + random.below(2) {
            var patterns: [String] = []
            for pattern in 0..<1 + random.below(2) {
                patterns.append("root://s0//p\(dataset)\(pattern)")
                files.append((0..<1 + random.below(4)).map { drawFile(id, dataset, pattern, $0) })
            }
            job.datasets.append(.init(name: "d\(dataset)", label: dataset, tree: "t", files: patterns))
        }
        job.chunkEvents = Int64(1 + random.below(60))
        job.onError = random.chance(0.5) ? .skip : .fail
        job.priority = random.below(3)
        job.maxWorkers = random.chance(0.2) ? 1 + random.below(3) : nil
        job.split.seed = random.next() >> 1
        if random.chance(0.7) {
            var training = JobDescription.Training()
            (training.lanes, training.batch, training.epochs) = (
                1 + random.below(6), 8 + random.below(30), 1 + random.below(3)
            )
            job.train = training
            if random.chance(0.5) { job.publish = .init(model: "m", nodes: ["n"]) }
        }
        jobs[id] = SimJob(description: job, files: files)
        return job
    }

    private func drawFile(_ job: JobID, _ dataset: Int, _ pattern: Int, _ number: Int) -> SimFile {
        let site = random.below(siteAway.count)
        var boundaries: [Int64] = [0]
        for _ in 0..<1 + random.below(10) { boundaries.append(boundaries.last! + Int64(1 + random.below(30))) }
        var file = SimFile(
            url: "root://s\(site)//s\(site)/\(job)-\(dataset)-\(pattern)-\(number)", site: site, seed: random.next(),
            boundaries: boundaries)
        file.isBroken = random.chance(0.02)
        file.isDeadly = random.chance(0.01)
        return file
    }

    // MARK: The coordinator

    func startCoordinator() throws {
        coordinatorLife += 1
        record.note(clock.now, "the coordinator starts")
        core = try CoordinatorCore(settings, store: ledger, now: clock.now, planner: { [unowned self] in plan($0, $1) })
        inbox = []
        // Jobs that were submitted meanwhile are in the ledger.
        let life = coordinatorLife
        tick(life)
    }

    private func tick(_ life: Int) {
        guard life == coordinatorLife, core != nil else { return }
        post(.tick)
        clock.at(clock.now + 0.2) { [self] in tick(life) }
    }

    func post(_ event: Scheduler.Event) {
        guard core != nil else { return }
        inbox.append(event)
        guard inbox.count == 1 else { return }
        let life = coordinatorLife
        clock.at(clock.now + random.between(0.0005, 0.02)) { [self] in if life == coordinatorLife { try work() } }
    }

    private func work() throws {
        let events = inbox
        inbox = []
        let expanded = events.flatMap { event in
            guard case .message(let worker, .receipts(let receipts), _) = event else { return [event] }
            return receipts.map { .receipt(worker: worker, $0, digest: digest($0), unacceptable: nil) }
        }
        ledger.onCommit = { [unowned self] in try checker.check($0) }
        let outcome = core!.process(expanded, now: clock.now, time: clock.now + wallOffset)
        if let wrong = ledger.wrong { throw wrong }
        if ledger.isDead { return crashCoordinator() }
        if let broken = core!.scheduler.validate() { throw SimWrong("the scheduler: \(broken)") }
        for line in outcome.log { record.note(clock.now, line.text) }
        for (worker, reply) in outcome.replies { try send(reply, to: worker) }
        for request in outcome.requests { carryOut(request) }
    }

    private func digest(_ receipt: Receipt) -> String {
        var hash = stableHash("\(receipt.result)")
        for byte in receipt.specs { hash = mix(hash ^ UInt64(byte)) }
        return String(hash, radix: 16)
    }

    private func carryOut(_ request: Scheduler.Request) {
        let life = coordinatorLife
        switch request {
        case .close(let worker): if let connection = connectionOf[worker] { close(connection) }
        case .bundle(let job): post(.bundled(job: job, .success(ledger.jobs[job]!.checkpoint!.digest)))
        case .publish(let job):
            clock.at(clock.now + random.between(0.1, 4)) { [self] in
                guard life == coordinatorLife else { return }
                post(.published(job: job, node: "n", digest: ledger.jobs[job]!.bundle ?? ""))
                post(.publishedEverywhere(job: job))
            }
        case .plan, .recall, .removeBlob: break
        }
    }

    /// The real planner, over the simulated ledger.
    private func plan(_ id: JobID, _ stage: JobStage) -> Result<StagePlan, PlanFailure> {
        let planner = StagePlanner(
            ledger, sites: { $0.map(SimLedger.site) },
            training: { [unowned self] in try planTraining($0) })
        do { return .success(try planner.plan(id, stage)) } catch let failure as PlanFailure {
            return .failure(failure)
        } catch {
            return .failure(PlanFailure("\(error)"))
        }
    }

    private func planTraining(_ id: JobID) throws -> StagePlan {
        let job = ledger.jobs[id]!
        for file in job.files {
            guard let folded = file.folded, let survey = file.survey,
                folded.blockRows.count != survey.boundaries.count - 1
            else { continue }
            ledger.wrong = SimWrong(
                """
                job \(id): \(file.url) has \(survey.boundaries.count - 1) blocks, and specs of \
                \(folded.blockRows.count)
                """)
            throw PlanFailure("wrong specs")
        }
        let schedule = schedule(job)
        guard schedule.blocks.contains(where: { $0.rows.train > 0 }) else {
            throw PlanFailure("no event is in the training part")
        }
        let name = "m\(id)-\(schedule.blocks.count)"
        schedules[name] = schedule
        var plan = StagePlan()
        plan.training = TrainingFacts(
            dataPlan: name, trainingPlan: name, lanes: schedule.lanes.count, localPaths: [], files: [])
        return plan
    }

    private func schedule(_ job: SimLedger.Job) -> LaneSchedule {
        var blocks: [TrainingBlock] = []
        let files = job.files.filter { $0.folded != nil }.sorted { ($0.dataset, $0.url) < ($1.dataset, $1.url) }
        for (index, file) in files.enumerated() {
            for (block, rows) in file.folded!.blockRows.enumerated() {
                blocks.append(
                    TrainingBlock(
                        dataset: file.dataset, label: file.dataset, input: index, first: file.survey!.boundaries[block],
                        end: file.survey!.boundaries[block + 1],
                        rows: rows.map { Int($0) }))
            }
        }
        let training = job.description.train!
        return LaneSchedule(
            blocks: blocks, lanes: LaneDealer.deal(blocks, lanes: training.lanes, seed: job.description.split.seed),
            batch: training.batch, epochs: training.epochs, seed: job.description.split.seed,
            shuffle: 40)
    }

    func crashCoordinator() {
        record.note(clock.now, "the coordinator dies")
        core = nil
        coordinatorLife += 1
        ledger.isDead = false
        for index in connections.indices where connections[index].isOpen { close(index) }
        clock.at(clock.now + random.between(0.2, 6)) { [self] in if core == nil { try startCoordinator() } }
    }
}
