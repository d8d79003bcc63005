package import Cluster

/// What a story is about.
package enum StorySubject: Sendable, Hashable {
    case job(JobID)
    case task(TaskID)
    case worker(WorkerID)
    /// The ledger itself.
    case ledger
}

/// A receipt to be counted, with all that follows from it.
package struct CountedReceipt: Sendable, Equatable {
    package var assignment: Assignment
    package var digest: String
    package var result: TaskResult
    package var specs: [UInt8]
    /// The dataset of the files of a list.
    package var dataset: Int
    /// It was the last of its unit: a file's partial specs are folded in the order of its blocks.
    package var completes: Bool

    package init(
        assignment: Assignment, digest: String, result: TaskResult, specs: [UInt8], dataset: Int = 0, completes: Bool
    ) {
        self.assignment = assignment
        self.digest = digest
        self.result = result
        self.specs = specs
        self.dataset = dataset
        self.completes = completes
    }
}

/// The newest state of a training that the coordinator has.
package struct StoredCheckpoint: Sendable, Equatable {
    package var digest: String
    package var step: Int64
    package var round: RoundNumber
    /// The metrics of epochs that ended up to it; the ledger may have some already.
    package var metrics: [EpochMetrics]

    package init(digest: String, step: Int64, round: RoundNumber, metrics: [EpochMetrics] = []) {
        self.digest = digest
        self.step = step
        self.round = round
        self.metrics = metrics
    }
}

/// One change of the ledger. A batch of them is one transaction. Changes of one kind of object are one enum, so that
/// each function that applies them is exhaustive.
package enum LedgerWrite: Sendable, Equatable {
    case task(TaskWrite)
    case file(FileID, FileWrite)
    case job(JobID, JobWrite)
    case story(StorySubject, String)
}

/// A change of one task.
package enum TaskWrite: Sendable, Equatable {
    /// A task is cut and assigned for the first time.
    case assign(Assignment, stage: JobStage)
    /// The task is assigned again; its former tokens are retired.
    case reassign(Assignment)
    /// The task is assigned to a second worker, beside the lease with this token.
    case speculate(Assignment, beside: Token)
    /// Throws where the lease's token is not one of the task's.
    case count(CountedReceipt)
    /// A task was handed in and not counted: the token counts no more.
    case retire(LeaseName)
    /// A worker died with the task.
    case crash(TaskID)
    /// The worker that was thought to have died with the task is back.
    case clear(TaskID)
}

/// A change of one file.
package enum FileWrite: Sendable, Equatable {
    /// Where the file's smallest chunks end, in blocks.
    case cuts([Int32])
    /// The file is left out, with its open tasks.
    case skip(reason: String, tasks: [TaskID])
    /// The file failed its job: a retry may leave it out.
    case unreadable(reason: String)
}

/// A change of one job.
package enum JobWrite: Sendable, Equatable {
    case stage(JobStage, error: String?)
    case branches([String])
    /// The digests of the blobs of the data plan and the training plan.
    case plans(data: String, training: String)
    case notes([String])
    case round(RoundNumber)
    /// A worker takes part in a round.
    case member(round: RoundNumber, name: String, instructionSet: String)
    case checkpoint(StoredCheckpoint)
    case test(PartMetrics)
    case evaluation(EvaluationReport)
    case bundle(digest: String)
    case publication(node: String, digest: String)
    case paused(Bool)
}

/// A job that is not at its end, as the ledger has it.
package struct RestoredJob: Sendable, Equatable {
    package var id: JobID
    package var description: JobDescription
    package var stage: JobStage
    package var paused: Bool
    package var units: [WorkUnit] = []
    package var maxBlocks: Int32 = .max
    /// The stage's units, those that are complete too.
    package var unitCount = 0
    package var tasks: [OpenTask] = []
    /// The newest round; nil before the first.
    package var round: RoundNumber?
    package var checkpoint: StoredCheckpoint?
    /// Epochs whose metrics are known.
    package var epochs = 0

    package init(id: JobID, description: JobDescription, stage: JobStage, paused: Bool = false) {
        self.id = id
        self.description = description
        self.stage = stage
        self.paused = paused
    }
}

/// Where a coordinator begins.
package struct Restored: Sendable, Equatable {
    package var jobs: [RestoredJob] = []
    /// Larger than any used before.
    package var nextToken = Token(1)
    package var nextTask = TaskID(1)
    package var nextRound = RoundNumber(1)
    package init() {}
}

/// The ledger as the scheduler needs it. What `commit` returned from survives any crash.
package protocol LedgerStore: AnyObject {
    /// One transaction: all of them or none.
    /// - Parameter time: seconds since 1970.
    func commit(_ writes: [LedgerWrite], at time: Double) throws
    /// Begins a new life of the coordinator: gives all jobs that are not at their end, and the next free numbers.
    func restore() throws -> Restored
    /// What was counted for a task, and is remembered until its stage ends.
    func counted(_ task: TaskID) throws -> (token: Token, digest: String)?
}

/// What must be prepared before a stage begins.
package struct StagePlan: Sendable, Equatable {
    package var units: [WorkUnit] = []
    package var maxBlocks: Int32 = .max
    /// To be written together with the stage's beginning.
    package var writes: [LedgerWrite] = []
    package var notes: [String] = []
    package var training: TrainingFacts?
    package init() {}
}

/// What the scheduler must know of a training.
package struct TrainingFacts: Sendable, Equatable {
    /// The digests of the data plan and the training plan.
    package var dataPlan: String
    package var trainingPlan: String
    package var lanes: Int
    /// Local files that a member must be able to read.
    package var localPaths: [String]
    /// The files of the data plan's inputs; nil where the ledger has none.
    package var files: [FileID?]
    /// What the training takes of a member's memory; nil where that is not known.
    package var memory: TrainingMemory?

    package init(dataPlan: String, trainingPlan: String, lanes: Int, localPaths: [String], files: [FileID?]) {
        self.dataPlan = dataPlan
        self.trainingPlan = trainingPlan
        self.lanes = lanes
        self.localPaths = localPaths
        self.files = files
    }
}

/// A job cannot go on, in a sentence.
package struct PlanFailure: Error, Sendable, Equatable {
    package var reason: String
    package init(_ reason: String) { self.reason = reason }
}
