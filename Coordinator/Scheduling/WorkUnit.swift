package import Cluster

/// What several tasks together bring to an end: a pattern to expand, a file to survey, a file's tree to count.
package struct WorkUnit: Sendable, Equatable {
    package var id: UnitID
    /// The sites that may have the unit's data, the user's first.
    package var sites: [String]
    /// A local file, which only workers that declared a directory above it may read.
    package var localPath: String?
    /// Where the smallest chunks end, in blocks; `[1]` for what is one task.
    package var cuts: [Int32]
    /// How many of the smallest chunks were handed out before (after a restart).
    package var next = 0

    package init(id: UnitID, sites: [String], localPath: String? = nil, cuts: [Int32] = [1], next: Int = 0) {
        self.id = id
        self.sites = sites
        self.localPath = localPath
        self.cuts = cuts
        self.next = next
    }
}

/// What a task covers: the blocks `first..<end` of a unit.
package struct TaskExtent: Sendable, Equatable {
    package var job: JobID
    package var unit: UnitID
    package var first: Int32
    package var end: Int32

    package init(job: JobID, unit: UnitID, first: Int32, end: Int32) {
        self.job = job
        self.unit = unit
        self.first = first
        self.end = end
    }
}

/// A task as it is given to a worker.
package struct Assignment: Sendable, Equatable {
    package var lease: LeaseName
    package var extent: TaskExtent
    package var worker: WorkerID

    package init(lease: LeaseName, extent: TaskExtent, worker: WorkerID) {
        self.lease = lease
        self.extent = extent
        self.worker = worker
    }

    package var job: JobID { extent.job }
    package var unit: UnitID { extent.unit }
}

/// A task that an earlier life of the coordinator cut and that is not counted yet.
package struct OpenTask: Sendable, Equatable {
    package var id: TaskID
    package var extent: TaskExtent
    /// The token that counts; nil where the task was handed in and not counted.
    package var token: Token?
    /// The token of a speculative assignment beside it.
    package var secondToken: Token?
    package var attempts: Int
    /// Workers that died with it.
    package var crashes: Int

    package init(id: TaskID, extent: TaskExtent, token: Token?, secondToken: Token?, attempts: Int, crashes: Int) {
        self.id = id
        self.extent = extent
        self.token = token
        self.secondToken = secondToken
        self.attempts = attempts
        self.crashes = crashes
    }
}
