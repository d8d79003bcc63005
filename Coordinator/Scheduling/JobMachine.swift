package import Cluster
import OrderedCollections

/// One job from its submission to its end.
///
///     queued --> list --> survey --> specs --> train --> evaluate --> publish --> done
///     each stage: planning --(its plan is committed)--> working --(nothing left)--> the next stage's planning
///     any but done --> failed | cancelled
///     failed | cancelled --(retry)--> planning of the stage that failed
///     paused: beside the stage; nothing is assigned and no round runs, receipts still count
package struct JobMachine: Sendable {
    /// Whether a stage waits for its plan, or is being worked on.
    package enum State: Sendable, Equatable {
        /// The stage's plan is being made; a late answer is that for another stage.
        case planning(JobStage)
        case working(JobStage)
    }

    /// The newest progress that the first member of a training round reported.
    package struct Progress: Sendable, Equatable {
        package var step: Int64
        package var epoch: Int
        package var stepsPerEpoch: Int64
        package var stepsPerSecond: Double
        package var loss: Double
    }

    package let id: JobID
    package let description: JobDescription
    /// The description's patterns, kept since it computes them each time.
    package let patterns: [(dataset: Int, pattern: String)]
    package private(set) var state: State
    package private(set) var paused: Bool
    package private(set) var unitCount = 0
    package private(set) var unitsDone = 0
    private var filesListed = 0
    private(set) var rounds: RoundKeeper
    package private(set) var facts: TrainingFacts?
    package private(set) var checkpoint: StoredCheckpoint?
    /// Epochs whose metrics are in the ledger.
    package private(set) var epochs = 0
    package private(set) var progress: Progress?
    /// Why the model is not published yet.
    package private(set) var publishWaits: String?
    /// The newest notes, so that most of what repeats is not written again.
    private var notes: OrderedSet<String> = []
    private static let notesRemembered = 1000

    package init(_ job: RestoredJob) {
        id = job.id
        description = job.description
        patterns = job.description.patterns
        // Work that the ledger has goes on; what else a stage needs is planned again.
        state = job.stage.hasTasks ? .working(job.stage) : .planning(job.stage == .queued ? .list : job.stage)
        paused = job.paused
        unitCount = job.unitCount
        unitsDone = job.unitCount - job.units.count
        rounds = RoundKeeper(lanes: max(1, job.description.train?.lanes ?? 1), lastRound: job.round)
        checkpoint = job.checkpoint
        epochs = job.epochs
    }

    package var stage: JobStage {
        switch state {
        case .planning(let stage), .working(let stage): stage
        }
    }

    package var isWorking: Bool { if case .working = state { true } else { false } }

    /// Whether its tasks may be assigned now.
    var assigns: Bool { isWorking && stage.hasTasks && !paused }

    /// Whether its training rounds may run now.
    var trains: Bool { isWorking && stage.trains && !paused }

    package var membership: RoundKeeper.Membership? { rounds.membership }

    /// The newest round; nil before the first.
    package var round: RoundNumber? { rounds.round }

    /// Whether it waits for workers that may train it.
    package var isWithoutRounds: Bool { rounds.state == .idle }

    /// Workers that can train it at once.
    var maxTrainers: Int { min(rounds.lanes, description.maxWorkers ?? .max) }

    // MARK: Stages

    /// The job's next stage, to be planned.
    mutating func plan(_ stage: JobStage) { state = .planning(stage) }

    /// The plan of a stage is there.
    /// - Returns: false where it is not the one that is awaited.
    mutating func begin(_ stage: JobStage, _ plan: StagePlan, now: Double) -> Bool {
        guard state == .planning(stage) else { return false }
        state = .working(stage)
        (unitCount, unitsDone) = (plan.units.count, 0)
        if stage.trains { facts = plan.training }
        if trains { rounds.begin(now: now) }
        return true
    }

    /// Goes from training to evaluation in the round that runs.
    mutating func evaluate() { state = .working(.evaluate) }

    /// Counts files that a pattern gave, in this life of the coordinator.
    /// - Returns: how many there are by now.
    mutating func listed(_ files: Int) -> Int {
        filesListed += files
        return filesListed
    }

    mutating func unitIsDone() { unitsDone += 1 }

    /// - Returns: those of the notes that are new, shortened.
    mutating func add(_ new: [String]) -> [String] {
        let new = new.map(TaskResult.reason).filter { notes.append($0).inserted }
        if notes.count > 2 * Self.notesRemembered { notes.removeFirst(notes.count - Self.notesRemembered) }
        return new
    }

    /// - Returns: what follows for its training round; nil where it was so already, or nothing follows.
    mutating func pause(_ paused: Bool, now: Double) -> RoundKeeper.Action? {
        self.paused = paused
        if paused { return rounds.end() }
        if trains { rounds.begin(now: now) }
        return nil
    }

    // MARK: Training

    mutating func endRounds() -> RoundKeeper.Action? { rounds.end() }

    /// - Parameter workers: those that the job may train on, in their order of preference.
    mutating func available(_ workers: [WorkerID], now: Double) -> RoundKeeper.Action? {
        rounds.available(workers, now: now)
    }

    /// - Parameter next: the next round's number.
    mutating func tick(now: Double, available: [WorkerID], next: RoundNumber) -> RoundKeeper.Action? {
        rounds.tick(now: now, available: available, next: next)
    }

    mutating func heartbeat(of member: WorkerID, _ phase: RoundPhase, step: Int64, now: Double) {
        rounds.heartbeat(of: member, phase, step: step, now: now)
    }

    mutating func reported(_ member: WorkerID, round: RoundNumber, lost: [Int]?, _ reason: String) {
        rounds.reported(member, round: round, lost: lost, reason)
    }

    mutating func decideOnMembers(now: Double) -> MemberQuarantine.Decision? { rounds.decide(now: now) }

    /// Those of the workers that are not left out of the job's rounds.
    func admitted(_ workers: [WorkerID], now: Double) -> [WorkerID] {
        rounds.quarantine.admitted(workers, running: membership?.members ?? [], now: now)
    }

    /// For how many seconds more a worker is left out of the job's rounds, and why; nil where it is not.
    package func leftOut(_ worker: WorkerID, now: Double) -> (seconds: Double, reason: String)? {
        rounds.quarantine.leftOut(worker, now: now)
    }

    mutating func roundFailed(_ reason: String, now: Double) -> RoundKeeper.Action? { rounds.failed(reason, now: now) }

    /// A worker's connection broke.
    mutating func died(_ worker: WorkerID, process: String, now: Double) {
        rounds.died(worker, process: process, now: now)
    }

    mutating func checkDeaths(
        now: Double, timeout: Double, deaths: Int, isBack: (String) -> Bool
    ) -> RoundKeeper.Action? {
        rounds.checkDeaths(now: now, timeout: timeout, deaths: deaths, isBack: isBack)
    }

    mutating func report(_ progress: Progress) { self.progress = progress }

    /// Keeps the newest checkpoint. A member that was cut off may report late what is old by now.
    /// - Returns: the digest of the checkpoint that is not needed any more.
    mutating func keep(_ new: StoredCheckpoint) -> String? {
        epochs = max(epochs, new.metrics.map(\.epoch).max() ?? 0)
        if let checkpoint, checkpoint.step > new.step { return nil }
        defer {
            checkpoint = new
            rounds.progressed()
        }
        return checkpoint.flatMap { $0.digest == new.digest ? nil : $0.digest }
    }

    /// Whether these are the metrics of the last epoch.
    func isLastEpoch(_ metrics: [EpochMetrics]) -> Bool {
        metrics.contains { $0.epoch == description.train?.epochs }
    }

    mutating func waitToPublish(_ reason: String) { publishWaits = reason }

    /// What must hold after every event; nil where it does.
    package func validate() -> String? {
        if stage.isFinal || stage == .queued { return "job \(id) is live in stage \(stage)" }
        if unitsDone < 0 || unitsDone > unitCount { return "job \(id): \(unitsDone) units done of \(unitCount)" }
        if rounds.state != .idle, !trains { return "job \(id) has training rounds in \(state)" }
        if stage.trains, isWorking, facts == nil { return "job \(id) trains without a plan" }
        return rounds.validate().map { "job \(id): \($0)" }
    }
}
