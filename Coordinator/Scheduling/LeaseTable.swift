import Cluster
import OrderedCollections

/// Who works on what, and which receipt counts. Pure: time is passed in, in seconds of any clock that only grows.
package struct LeaseTable: Sendable {
    private struct Entry {
        var url: String
        /// The newest token lent; a receipt under another is refused.
        var token: Int64 = 0
        var worker: Int64?
        var deadline = 0.0
    }

    package enum Verdict: Equatable, Sendable {
        case count
        /// The very receipt that was counted: the same acknowledgement again.
        case countedAlready
        case refuse(reason: String)
    }

    private var open: OrderedDictionary<Int64, Entry> = [:]
    /// Counted tasks: the token and the receipt's digest.
    private var counted: OrderedDictionary<Int64, (token: Int64, digest: String)> = [:]
    private var nextToken: Int64

    /// - Parameter nextToken: larger than every token lent before.
    package init(nextToken: Int64 = 1) { self.nextToken = nextToken }

    package var openCount: Int { open.count }
    package var leasedCount: Int { open.values.count { $0.worker != nil } }
    package var openTasks: [Int64] { Array(open.keys) }

    package mutating func add(_ task: Int64, url: String) { open[task] = Entry(url: url) }

    /// A lease that an earlier coordinator lent: its holder may still hand in the receipt.
    package mutating func restore(_ lease: LeaseName, worker: Int64, deadline: Double) {
        nextToken = max(nextToken, lease.token + 1)
        guard open[lease.task] != nil else { return }
        open[lease.task]!.token = lease.token
        open[lease.task]!.worker = worker
        open[lease.task]!.deadline = deadline
    }

    package mutating func restore(counted lease: LeaseName, digest: String) {
        nextToken = max(nextToken, lease.token + 1)
        open[lease.task] = nil
        counted[lease.task] = (lease.token, digest)
    }

    /// Lends up to `room` tasks that the worker can read, oldest first.
    package mutating func lend(to worker: Int64, room: Int, deadline: Double, canRead: (String) -> Bool) -> [LeaseName] {
        var lent: [LeaseName] = []
        for (task, entry) in open where lent.count < room {
            guard entry.worker == nil, canRead(entry.url) else { continue }
            lent.append(LeaseName(task: task, token: nextToken))
            nextToken += 1
        }
        for lease in lent {
            open[lease.task]!.worker = worker
            open[lease.task]!.token = lease.token
            open[lease.task]!.deadline = deadline
        }
        return lent
    }

    package mutating func renew(_ leases: [LeaseName], worker: Int64, deadline: Double) {
        for lease in leases where open[lease.task]?.token == lease.token {
            open[lease.task]!.worker = worker
            open[lease.task]!.deadline = deadline
        }
    }

    /// Takes back what is overdue.
    package mutating func expire(now: Double) -> [Int64] {
        let overdue = open.filter { $0.value.worker != nil && $0.value.deadline < now }.map(\.key)
        for task in overdue { open[task]!.worker = nil }
        return overdue
    }

    /// Takes one task back so that it can be lent again.
    package mutating func release(_ task: Int64) { if open[task] != nil { open[task]!.worker = nil } }

    package func judge(_ lease: LeaseName, digest: String) -> Verdict {
        if let known = counted[lease.task] {
            return known.token == lease.token && known.digest == digest
                ? .countedAlready : .refuse(reason: "task \(lease.task) was counted under token \(known.token)")
        }
        guard let entry = open[lease.task] else { return .refuse(reason: "task \(lease.task) is not wanted any more") }
        guard entry.token == lease.token else {
            return .refuse(reason: "task \(lease.task) was lent anew under token \(entry.token)")
        }
        return .count
    }

    package mutating func settle(_ lease: LeaseName, digest: String) {
        open[lease.task] = nil
        counted[lease.task] = (lease.token, digest)
    }

    /// Forgets tasks, of a job that ended or of a file that is skipped.
    package mutating func remove(_ tasks: [Int64]) {
        for task in tasks { open[task] = nil }
    }
}
