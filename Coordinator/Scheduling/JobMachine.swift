import Cluster

/// A job's stages, in order.
package enum JobStage: String, Codable, Sendable, CaseIterable {
    case queued, list, survey, specs, train, evaluate, publish, done, failed, cancelled

    package var isFinal: Bool { self == .done || self == .failed || self == .cancelled }
    /// Stages whose work is lent as tasks.
    package var hasTasks: Bool { self == .list || self == .survey || self == .specs }
    package var trains: Bool { self == .train || self == .evaluate }

    /// The stage after this one is complete.
    package func next(for job: JobDescription) -> JobStage {
        switch self {
        case .queued: .list
        case .list: .survey
        case .survey: .specs
        case .specs: job.train == nil ? .done : .train
        case .train: .evaluate
        case .evaluate: job.publish == nil ? .done : .publish
        case .publish: .done
        case .done, .failed, .cancelled: self
        }
    }
}

/// One job from its submission to its end.
///
///     queued --> list --> survey --> specs --> train --> evaluate --> publish --> done
///                 each stage: planning --(its plan is committed)--> working --(nothing left)--> the next stage's planning
///     any but the last three --> failed | cancelled;   failed | cancelled --(retry)--> planning of the stage that failed
///     paused: beside the stage; nothing is lent and no round runs, receipts still count
package struct JobMachine: Sendable {
    package enum State: Sendable, Equatable {
        /// The stage's plan is being made; its number tells late answers from the one that is awaited.
        case planning(JobStage)
        case working(JobStage)
    }

    package let id: Int64
    package let description: JobDescription
    /// The description's, which makes them anew each time.
    package let patterns: [(dataset: Int, pattern: String)]
    package private(set) var state: State
    package var paused: Bool
    package var unitsAll = 0
    package var unitsDone = 0
    package var rounds: RoundKeeper
    package var facts: TrainingFacts?
    package var checkpoint: StoredCheckpoint?
    /// Epochs whose metrics are in the ledger.
    package var epochs = 0
    /// What its training's linear algebra uses, once that is settled.
    package var kernels: String?
    package var progress: Progress?
    package var publishWaits: String?
    package var notes: [String] = []

    package struct Progress: Sendable, Equatable {
        package var step: Int64
        package var epoch: Int
        package var stepsPerEpoch: Int64
        package var stepsPerSecond: Double
        package var loss: Double
    }

    package init(_ job: RestoredJob) {
        id = job.id
        description = job.description
        patterns = job.description.patterns
        // Work that the ledger has goes on; what else a stage needs is planned anew.
        state = job.stage.hasTasks ? .working(job.stage) : .planning(job.stage == .queued ? .list : job.stage)
        paused = job.paused
        unitsAll = job.unitsAll
        unitsDone = job.unitsAll - job.units.count
        rounds = RoundKeeper(lanes: max(1, job.description.train?.lanes ?? 1), lastRound: job.round)
        checkpoint = job.checkpoint
        epochs = job.epochs
        kernels = job.kernels ?? job.description.train?.kernels
    }

    package var stage: JobStage {
        switch state {
        case .planning(let stage), .working(let stage): stage
        }
    }

    package var isWorking: Bool { if case .working = state { true } else { false } }

    /// The job's next stage, to be planned.
    package mutating func plan(_ stage: JobStage) { state = .planning(stage) }

    /// The plan of the stage is there.
    /// - Returns: false where it is not the one that is awaited.
    package mutating func begin(_ stage: JobStage) -> Bool {
        guard state == .planning(stage) else { return false }
        state = .working(stage)
        return true
    }

    /// What must hold after every event; nil where it does.
    package func validate() -> String? {
        if stage.isFinal || stage == .queued { return "job \(id) is live in stage \(stage)" }
        if unitsDone < 0 || unitsDone > unitsAll { return "job \(id): \(unitsDone) units done of \(unitsAll)" }
        if rounds.state != .idle, !(stage.trains && isWorking) || paused {
            return "job \(id) has training rounds in \(state)"
        }
        if stage.trains, isWorking, facts == nil { return "job \(id) trains without a plan" }
        return rounds.validate().map { "job \(id): \($0)" }
    }
}
