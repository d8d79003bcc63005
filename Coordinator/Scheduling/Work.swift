import Cluster

/// What several tasks together bring to an end: a pattern to expand, a file to survey, a file's tree to count.
package struct WorkUnit: Sendable, Equatable {
    /// The pattern's ordinal in its job, or the file's number in the ledger.
    package var id: Int64
    /// The sites that may have its data, the user's first, with a space between them.
    package var queue: String
    /// Where only workers that declared a directory above it may read.
    package var localPath: String?
    /// Where the smallest chunks end, in blocks; `[1]` for what is one task.
    package var cuts: [Int32]
    /// How many of them were handed out before (after a restart).
    package var next = 0

    package init(id: Int64, queue: String, localPath: String? = nil, cuts: [Int32] = [1], next: Int = 0) {
        self.id = id
        self.queue = queue
        self.localPath = localPath
        self.cuts = cuts
        self.next = next
    }
}

/// A task as it is lent: the lease, and blocks `first..<end` of its unit.
package struct Loan: Sendable, Equatable {
    package var lease: LeaseName
    package var job: Int64
    package var unit: Int64
    package var first: Int32
    package var end: Int32
    package var worker: Int64

    package init(lease: LeaseName, job: Int64, unit: Int64, first: Int32, end: Int32, worker: Int64) {
        self.lease = lease
        self.job = job
        self.unit = unit
        self.first = first
        self.end = end
        self.worker = worker
    }
}

/// A task that an earlier life of the coordinator cut and that is not counted yet.
package struct OpenTask: Sendable, Equatable {
    package var id: Int64
    package var unit: Int64
    package var first: Int32
    package var end: Int32
    package var token: Int64
    package var secondToken: Int64
    package var attempts: Int
    /// Workers that died with it.
    package var kills: Int

    package init(
        id: Int64, unit: Int64, first: Int32, end: Int32, token: Int64, secondToken: Int64, attempts: Int, kills: Int
    ) {
        self.id = id
        self.unit = unit
        self.first = first
        self.end = end
        self.token = token
        self.secondToken = secondToken
        self.attempts = attempts
        self.kills = kills
    }
}
