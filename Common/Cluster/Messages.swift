/// What a worker is to do.
package enum TaskBody: Codable, Sendable, Equatable {
    /// Expand a pattern of a dataset into files.
    case list(pattern: String)
    /// Open a file and learn what it holds.
    case survey(FileReplicas, tree: String, verify: Bool)
    case chunk(ChunkTask)

    /// What the user named.
    package var url: String {
        switch self {
        case .list(let pattern): pattern
        case .survey(let file, _, _): file.url
        case .chunk(let chunk): chunk.input.file.url
        }
    }
}

/// A tree of a surveyed file.
package struct InputTree: Codable, Sendable, Hashable {
    /// With the size that the survey found.
    package var file: FileReplicas
    package var tree: String
    package var identity: String
    /// Each replica's checksum must be the file's.
    package var verify: Bool

    package init(_ file: FileReplicas, tree: String, identity: String, verify: Bool = false) {
        self.file = file
        self.tree = tree
        self.identity = identity
        self.verify = verify
    }
}

/// Whole blocks of one file's tree, of which to compute partial specs, with the job's plan.
package struct ChunkTask: Codable, Sendable, Equatable {
    package var input: InputTree
    /// The blocks' boundaries: one more than blocks.
    package var boundaries: [Int64]

    package init(_ input: InputTree, boundaries: [Int64]) {
        self.input = input
        self.boundaries = boundaries
    }
}

/// What all chunks of a job share.
package struct ChunkPlan: Codable, Sendable, Equatable {
    package var branches: [String]
    package var split: JobDescription.Split

    package init(branches: [String], split: JobDescription.Split) {
        self.branches = branches
        self.split = split
    }
}

/// One branch as the survey saw it.
package struct SurveyedBranch: Codable, Sendable, Equatable {
    package var name: String
    package var type: String
    /// nil for a jagged branch; 1 for one number; the product of its dimensions otherwise.
    package var fixedValues: Int?
    /// Values in an item of a jagged branch.
    package var itemValues: Int
    /// Why it cannot be read; nil where it can.
    package var unsupported: String?

    package init(name: String, type: String, fixedValues: Int?, itemValues: Int, unsupported: String?) {
        self.name = name
        self.type = type
        self.fixedValues = fixedValues
        self.itemValues = itemValues
        self.unsupported = unsupported
    }
}

/// What a survey learned of one file's tree.
package struct Survey: Codable, Sendable, Equatable {
    package static let newestFormat = 1
    private let format = Self.newestFormat

    package var bytes: Int
    package var identity: String
    /// The site's checksum, where it was asked for.
    package var adler32: String?
    package var entries: Int64
    /// Of blocks.
    package var boundaries: [Int64]
    /// Those block boundaries that are boundaries of clusters too.
    package var clusters: [Int64]
    package var branches: [SurveyedBranch]

    package init(
        bytes: Int, identity: String, adler32: String? = nil, entries: Int64, boundaries: [Int64], clusters: [Int64],
        branches: [SurveyedBranch]
    ) {
        self.bytes = bytes
        self.identity = identity
        self.adler32 = adler32
        self.entries = entries
        self.boundaries = boundaries
        self.clusters = clusters
        self.branches = branches
    }
}

/// How a task ended.
package enum TaskResult: Codable, Sendable, Equatable {
    case listed([FileReplicas])
    case surveyed(Survey)
    /// The partial specs travel as the message's payload.
    case counted(bytesRead: Int, seconds: Double)
    case failed(reason: String, transient: Bool)
}

/// A lease's name: the task, and the fencing token that only grows.
package struct LeaseName: Codable, Sendable, Hashable {
    package var task: TaskID
    package var token: Token

    package init(task: TaskID, token: Token) {
        self.task = task
        self.token = token
    }
}

/// A member's view of a training round.
package struct RoundOrder: Codable, Sendable, Equatable {
    package var job: JobID
    package var round: RoundNumber
    package var rank: Int
    /// The members' names, by rank.
    package var members: [String]
    /// For each lane, the rank that owns it.
    package var owners: [Int]
    /// The digests of the data plan and the training plan: what is trained on, and how.
    package var dataPlan: String
    package var trainingPlan: String
    /// The digest and step of the coordinator's checkpoint; nil at the beginning.
    package var checkpoint: String?
    package var checkpointStep: Int64
    /// Epochs whose metrics the coordinator has.
    package var epochs: Int
    /// What all members' linear algebra must use.
    package var kernels: String

    package init(
        job: JobID, round: RoundNumber, rank: Int, members: [String], owners: [Int], dataPlan: String,
        trainingPlan: String, checkpoint: String?, checkpointStep: Int64, epochs: Int, kernels: String
    ) {
        self.job = job
        self.round = round
        self.rank = rank
        self.members = members
        self.owners = owners
        self.dataPlan = dataPlan
        self.trainingPlan = trainingPlan
        self.checkpoint = checkpoint
        self.checkpointStep = checkpointStep
        self.epochs = epochs
        self.kernels = kernels
    }

    /// Whether both orders are of one job's training, in any rounds.
    package func isSameTraining(as other: RoundOrder) -> Bool {
        job == other.job && dataPlan == other.dataPlan && trainingPlan == other.trainingPlan
    }
}

/// What a member of a round is doing.
package enum RoundPhase: String, Codable, Sendable, CaseIterable { case loading, connecting, training, evaluating }

/// Loss and area under the curve of one part.
package struct PartMetrics: Codable, Sendable, Equatable {
    package var events: Int64
    package var loss: Double
    package var auc: Double
    package var accuracy: Double

    package init(events: Int64, loss: Double, auc: Double, accuracy: Double) {
        self.events = events
        self.loss = loss
        self.auc = auc
        self.accuracy = accuracy
    }
}

package struct EpochMetrics: Codable, Sendable, Equatable {
    /// From 1.
    package var epoch: Int
    package var train: PartMetrics
    package var validation: PartMetrics

    package init(epoch: Int, train: PartMetrics, validation: PartMetrics) {
        self.epoch = epoch
        self.train = train
        self.validation = validation
    }
}

/// What a member of a round reports.
package enum TrainingReport: Codable, Sendable, Equatable {
    case progress(step: Int64, epoch: Int, stepsPerEpoch: Int64, stepsPerSecond: Double, loss: Double)
    /// A checkpoint was stored under `digest`; `metrics` of all epochs that ended since the one that the round began with.
    case checkpoint(digest: String, step: Int64, metrics: [EpochMetrics])
    case finished(digest: String, step: Int64, test: PartMetrics, truncated: Int64)
    /// This member left the round; `fatal` where another round would end the same way; `input` the manifest's input that cannot be read.
    case failed(reason: String, fatal: Bool, input: Int?)
}

/// What a worker is and can do; the first message of a session.
package struct JoinRequest: Codable, Sendable, Equatable {
    package var name: String
    package var threads: Int
    /// Tasks that it reads for beside those that its threads compute.
    package var readAhead: Int
    /// Directories whose files it may read.
    package var localRoots: [String]
    package var version: String
    /// The version of the messages that the worker sends and understands; see `WireProtocol`.
    package var protocolVersion = WireProtocol.version
    /// Takes part in rounds with others; a worker that does not trains alone.
    package var joinsRounds = true
    /// The kernels that its linear algebra uses.
    package var kernels = ""
    /// Those that it would use by itself.
    package var ownKernels = OwnKernels.upTo("")
    /// A name of this life of the process: one that joins again with the same has not died meanwhile.
    package var process = ""

    package init(name: String, threads: Int, readAhead: Int, localRoots: [String], version: String) {
        self.name = name
        self.threads = threads
        self.readAhead = readAhead
        self.localRoots = localRoots
        self.version = version
    }
}

/// What a worker holds, every second. The coordinator renews those leases, and sends again what the worker should know and does not.
package struct Heartbeat: Codable, Sendable, Equatable {
    package struct InRound: Codable, Sendable, Equatable {
        package var round: RoundNumber
        package var phase: RoundPhase
        package var step: Int64

        package init(round: RoundNumber, phase: RoundPhase, step: Int64) {
            self.round = round
            self.phase = phase
            self.step = step
        }
    }

    package var held: [LeaseName]
    package var round: InRound?

    package init(held: [LeaseName], round: InRound? = nil) {
        self.held = held
        self.round = round
    }
}

/// What a worker hands back for a lease. The partial specs of a counted chunk come with it.
package struct Receipt: Codable, Sendable, Equatable {
    package var lease: LeaseName
    package var result: TaskResult
    package var specs: [UInt8]

    package init(_ lease: LeaseName, _ result: TaskResult, specs: [UInt8] = []) {
        self.lease = lease
        self.result = result
        self.specs = specs
    }
}

/// A task that is assigned to the worker. `plan` comes with chunks.
package struct Grant: Codable, Sendable, Equatable {
    package var lease: LeaseName
    package var body: TaskBody
    package var plan: ChunkPlan?

    package init(_ lease: LeaseName, _ body: TaskBody, plan: ChunkPlan? = nil) {
        self.lease = lease
        self.body = body
        self.plan = plan
    }
}

package enum WorkerMessage: Codable, Sendable, Equatable {
    case join(JoinRequest)
    case heartbeat(Heartbeat)
    case receipts([Receipt])
    /// The address of this member, as payload, for the others.
    case rendezvous(round: RoundNumber, key: String)
    case training(round: RoundNumber, TrainingReport)
    /// What it saw of each site so far.
    case sites([SiteReport])
    /// It ends, and gives back what it holds.
    case leave

    private enum CodingKeys: String, CodingKey {
        case join = "hello"
        case heartbeat = "beat"
        case receipts, rendezvous, training, sites
        case leave = "goodbye"
    }
}

package enum CoordinatorMessage: Codable, Sendable, Equatable {
    /// Coordinators of protocol version 1 send no version.
    case welcome(worker: WorkerID, leaseSeconds: Double, protocolVersion: Int?)
    case grants([Grant])
    case acknowledged([LeaseName])
    case refused(LeaseName, reason: String)
    case startRound(RoundOrder)
    case stopRound(round: RoundNumber)
    case rendezvous(round: RoundNumber, key: String)
    /// The sites file, at the session's start.
    case catalog(SiteCatalog)
    case sites([SiteDirective])
    /// A bearer token for the running job's sites, as payload; empty where there is none. Sent over TLS only.
    case credential
    /// The worker is drained and may end.
    case drained
    /// A job that the worker is to train uses other kernels: it restarts with these.
    case useKernels(String)

    private enum CodingKeys: String, CodingKey {
        case welcome, grants, acknowledged, refused, startRound, stopRound, rendezvous, catalog, sites, credential,
            useKernels
        case drained = "dismissed"
    }
}

// MARK: Decoding: what an earlier format lacks has its default

extension InputTree {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            try keys.decode(FileReplicas.self, forKey: .file), tree: try keys.decode(String.self, forKey: .tree),
            identity: try keys.decode(String.self, forKey: .identity))
        try keys.read(.verify, into: &verify)
    }
}

extension SurveyedBranch {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            name: try keys.decode(String.self, forKey: .name), type: try keys.decode(String.self, forKey: .type),
            fixedValues: try keys.decodeIfPresent(Int.self, forKey: .fixedValues),
            itemValues: try keys.decodeIfPresent(Int.self, forKey: .itemValues) ?? 1,
            unsupported: try keys.decodeIfPresent(String.self, forKey: .unsupported))
    }
}

extension Survey {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.document("a file's survey", newest: Self.newestFormat, keyedBy: CodingKeys.self)
        self.init(
            bytes: try keys.decode(Int.self, forKey: .bytes), identity: try keys.decode(String.self, forKey: .identity),
            adler32: try keys.decodeIfPresent(String.self, forKey: .adler32),
            entries: try keys.decode(Int64.self, forKey: .entries),
            boundaries: try keys.decode([Int64].self, forKey: .boundaries),
            clusters: try keys.decodeIfPresent([Int64].self, forKey: .clusters) ?? [],
            branches: try keys.decodeIfPresent([SurveyedBranch].self, forKey: .branches) ?? [])
    }
}

extension JoinRequest {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            name: try keys.decode(String.self, forKey: .name), threads: try keys.decode(Int.self, forKey: .threads),
            readAhead: 0, localRoots: [], version: "")
        // Workers of the first version sent none.
        protocolVersion = 1
        try keys.read(.protocolVersion, into: &protocolVersion)
        try keys.read(.readAhead, into: &readAhead)
        try keys.read(.localRoots, into: &localRoots)
        try keys.read(.version, into: &version)
        try keys.read(.joinsRounds, into: &joinsRounds)
        try keys.read(.kernels, into: &kernels)
        try keys.read(.ownKernels, into: &ownKernels)
        try keys.read(.process, into: &process)
    }
}

extension Heartbeat {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init(held: [])
        try keys.read(.held, into: &held)
        try keys.read(.round, into: &round)
    }
}
