import Cluster

/// A receipt to be counted, with all that follows from it.
package struct CountedReceipt: Sendable, Equatable {
    package var loan: Loan
    package var digest: String
    package var result: TaskResult
    package var specs: [UInt8]
    /// Of the files of a list.
    package var dataset: Int
    /// It was the last of its unit: a file's partial specs are folded in the order of its blocks.
    package var completes: Bool

    package init(loan: Loan, digest: String, result: TaskResult, specs: [UInt8], dataset: Int = 0, completes: Bool) {
        self.loan = loan
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
    package var round: Int64
    /// Of epochs that ended up to it; the ledger may have some already.
    package var metrics: [EpochMetrics]

    package init(digest: String, step: Int64, round: Int64, metrics: [EpochMetrics] = []) {
        self.digest = digest
        self.step = step
        self.round = round
        self.metrics = metrics
    }
}

/// What a story tells of.
package enum StorySubject: String, Sendable, Codable, CaseIterable { case job, chunk, worker }

/// One change of the ledger. A batch of them is one transaction.
package enum LedgerWrite: Sendable, Equatable {
    /// A task is cut and lent.
    case lend(Loan, stage: JobStage)
    /// It is lent anew; its former tokens are retired.
    case lendAnew(Loan)
    /// It is lent a second time, beside the lease with this token.
    case lendTwice(Loan, beside: Int64)
    /// Throws where the lease's token is not one of the task's.
    case count(CountedReceipt)
    /// A task was handed in and not counted: the token counts no more.
    case retire(LeaseName)
    /// A worker died with a task.
    case kill(task: Int64)
    /// It had not died.
    case pardon(task: Int64)
    case stage(job: Int64, JobStage, error: String?)
    /// Where each file's smallest chunks end, in blocks.
    case cuts(file: Int64, [Int32])
    /// A file is left out, with its open tasks.
    case skip(file: Int64, reason: String, tasks: [Int64])
    /// A file that failed its job: a retry may leave it out.
    case unreadable(file: Int64, reason: String)
    case branches(job: Int64, [String])
    /// The digests of the blobs that say what is trained on, and how.
    case plans(job: Int64, data: String, training: String)
    case notes(job: Int64, [String])
    case round(job: Int64, Int64)
    /// The kernels that a job's training uses from now on.
    case kernels(job: Int64, String)
    /// A worker takes part in a round.
    case member(job: Int64, round: Int64, name: String, kernels: String, ownKernels: String)
    case checkpoint(job: Int64, StoredCheckpoint)
    case test(job: Int64, PartMetrics)
    case bundle(job: Int64, digest: String)
    case publication(job: Int64, node: String, digest: String)
    case paused(job: Int64, Bool)
    case story(StorySubject, Int64, String)
}

/// A job that is not at its end, as the ledger has it.
package struct RestoredJob: Sendable, Equatable {
    package var id: Int64
    package var description: JobDescription
    package var stage: JobStage
    package var paused: Bool
    package var units: [WorkUnit] = []
    package var blocksMost: Int32 = .max
    package var unitsAll = 0
    package var tasks: [OpenTask] = []
    package var round: Int64 = 0
    package var checkpoint: StoredCheckpoint?
    /// Epochs whose metrics are known.
    package var epochs = 0
    package var kernels: String?

    package init(id: Int64, description: JobDescription, stage: JobStage, paused: Bool = false) {
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
    package var nextToken: Int64 = 1
    package var nextTask: Int64 = 1
    package var nextRound: Int64 = 1
    package init() {}
}

/// The ledger as the scheduler needs it. What `commit` returned from survives any crash.
package protocol LedgerStore: AnyObject {
    /// One transaction: all of them or none.
    /// - Parameter time: seconds since 1970.
    func commit(_ writes: [LedgerWrite], at time: Double) throws
    func restore() throws -> Restored
    /// What was counted for a task, and is remembered until its stage ends.
    func counted(_ task: Int64) throws -> (token: Int64, digest: String)?
}

/// What must be prepared before a stage begins.
package struct StagePlan: Sendable, Equatable {
    package var units: [WorkUnit] = []
    package var blocksMost: Int32 = .max
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
    /// The ledger's numbers of the data plan's inputs.
    package var files: [Int64]

    package init(dataPlan: String, trainingPlan: String, lanes: Int, localPaths: [String], files: [Int64]) {
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
