import Cluster
import Scheduling
import Synchronization

/// What the coordinator knew after a batch of events: values that never change, for whoever answers people's requests.
struct ClusterSnapshot: Sendable {
    /// A job that is not at its end.
    struct Job: Sendable {
        var machine: JobMachine
        /// The smallest chunks of its stage that are counted, and all of them.
        var tasksDone = 0
        var tasksAll = 0
        /// Queues with work that nobody does.
        var waitingQueues: [(sites: [String], localPath: String?)] = []
        /// Workers are there that could train it.
        var hasTrainers = false
        var traffic: StageTraffic
    }

    /// When it was made, in seconds of the monotonic clock.
    var time = 0.0
    var jobs: [JobID: Job] = [:]
    var workers: [WorkerStatus] = []
    /// The directories that each worker may read.
    var localRoots: [[String]] = []
    var sites: [SiteStatus] = []
    /// Why jobs that forward credentials wait.
    var missingCredential: String?
    /// Why the ledger cannot be written.
    var ledgerFailure: String?
}

/// What a job's stage has got from each site since the stage began in this process.
struct StageTraffic: Sendable {
    struct Amount: Sendable {
        /// Entries that were counted.
        var events: Int64 = 0
        /// Bytes that workers read for them.
        var bytes: Int64 = 0
    }

    let stage: JobStage
    /// In seconds of the monotonic clock.
    let started: Double
    private(set) var sites: [String: Amount] = [:]

    init(stage: JobStage, started: Double) {
        self.stage = stage
        self.started = started
    }

    mutating func add(site: String, events: Int64, bytes: Int64) {
        sites[site, default: Amount()].events &+= events
        sites[site, default: Amount()].bytes &+= bytes
    }
}

/// Where the scheduling thread leaves the newest snapshot.
final class SnapshotBoard: Sendable {
    private let newest = Mutex(ClusterSnapshot())

    var current: ClusterSnapshot { newest.withLock { $0 } }

    func publish(_ snapshot: ClusterSnapshot) { newest.withLock { $0 = snapshot } }
}
