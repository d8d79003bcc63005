import Cluster
import OrderedCollections

/// Who works on what, and which receipt counts. Pure: time is passed in, in seconds of any clock that only grows.
package struct LeaseTable: Sendable {
    private struct Entry {
        var url: String
        var site: String
        /// The newest token lent; a receipt under another is refused.
        var token: Int64 = 0
        var worker: Int64?
        var deadline = 0.0
    }

    /// The tasks of one site that nobody works on, in the order they came.
    private struct Queue {
        var tasks: [Int64] = []
        /// Those before it were taken.
        var next = 0
        /// Lent and not settled.
        var out = 0

        var isEmpty: Bool { next == tasks.count }
    }

    package enum Verdict: Equatable, Sendable {
        case count
        /// The very receipt that was counted: the same acknowledgement again.
        case countedAlready
        case refuse(reason: String)
    }

    private var open: OrderedDictionary<Int64, Entry> = [:]
    private var queues: OrderedDictionary<String, Queue> = [:]
    /// Counted tasks: the token and the receipt's digest.
    private var counted: OrderedDictionary<Int64, (token: Int64, digest: String)> = [:]
    private var nextToken: Int64

    /// - Parameter nextToken: larger than every token lent before.
    package init(nextToken: Int64 = 1) { self.nextToken = nextToken }

    package var openCount: Int { open.count }
    package var leasedCount: Int { open.values.count { $0.worker != nil } }
    package var openTasks: [Int64] { Array(open.keys) }
    /// Sites with tasks that nobody works on.
    package var waitingSites: [String] { queues.filter { !$0.value.isEmpty }.map(\.key) }

    /// - Parameter site: where its data lie; tasks of different sites are lent side by side.
    package mutating func add(_ task: Int64, url: String, site: String = "") {
        open[task] = Entry(url: url, site: site)
        queues[site, default: Queue()].tasks.append(task)
    }

    /// A lease that an earlier coordinator lent: its holder may still hand in the receipt.
    package mutating func restore(_ lease: LeaseName, worker: Int64, deadline: Double) {
        nextToken = max(nextToken, lease.token + 1)
        guard open[lease.task] != nil else { return }
        take(lease.task)
        open[lease.task]!.token = lease.token
        open[lease.task]!.worker = worker
        open[lease.task]!.deadline = deadline
    }

    package mutating func restore(counted lease: LeaseName, digest: String) {
        nextToken = max(nextToken, lease.token + 1)
        remove([lease.task])
        counted[lease.task] = (lease.token, digest)
    }

    /// Lends up to `room` tasks that the worker can read: each time one of the site that has the fewest out, so that no site's link
    /// is idle while another's is full; of a site, the oldest.
    /// - Parameter tasksMost: how many tasks of a site may be out at once.
    package mutating func lend(
        to worker: Int64, room: Int, deadline: Double, tasksMost: (String) -> Int = { _ in .max }, canRead: (String) -> Bool
    ) -> [LeaseName] {
        var lent: [LeaseName] = []
        var refused: OrderedSet<String> = []
        while lent.count < room {
            let usable = queues.filter { !$0.value.isEmpty && $0.value.out < tasksMost($0.key) && !refused.contains($0.key) }
            guard let site = usable.min(by: { $0.value.out < $1.value.out })?.key else { break }
            guard let task = nextReadable(site, canRead) else {
                refused.append(site)
                continue
            }
            take(task)
            open[task]!.worker = worker
            open[task]!.token = nextToken
            open[task]!.deadline = deadline
            lent.append(LeaseName(task: task, token: nextToken))
            nextToken += 1
        }
        return lent
    }

    private func nextReadable(_ site: String, _ canRead: (String) -> Bool) -> Int64? {
        let queue = queues[site]!
        return queue.tasks[queue.next...].first { open[$0].map { canRead($0.url) } ?? false }
    }

    /// Takes a task out of its site's queue.
    private mutating func take(_ task: Int64) {
        guard let site = open[task]?.site, let place = queues[site]!.tasks[queues[site]!.next...].firstIndex(of: task) else { return }
        if place == queues[site]!.next { queues[site]!.next += 1 } else { queues[site]!.tasks.remove(at: place) }
        queues[site]!.out += 1
        if queues[site]!.next > 1024, 2 * queues[site]!.next > queues[site]!.tasks.count {
            queues[site]!.tasks.removeFirst(queues[site]!.next)
            queues[site]!.next = 0
        }
    }

    package mutating func renew(_ leases: [LeaseName], worker: Int64, deadline: Double) {
        for lease in leases where open[lease.task]?.token == lease.token {
            // A lease that ran out and was not lent anew is its holder's again.
            if open[lease.task]!.worker == nil { take(lease.task) }
            open[lease.task]!.worker = worker
            open[lease.task]!.deadline = deadline
        }
    }

    /// Takes back what is overdue.
    package mutating func expire(now: Double) -> [Int64] {
        let overdue = open.filter { $0.value.worker != nil && $0.value.deadline < now }.map(\.key)
        for task in overdue { release(task) }
        return overdue
    }

    /// Takes one task back so that it can be lent again, after those that wait.
    package mutating func release(_ task: Int64) {
        guard let entry = open[task], entry.worker != nil else { return }
        open[task]!.worker = nil
        queues[entry.site]!.out -= 1
        queues[entry.site]!.tasks.append(task)
    }

    /// A receipt that was not counted was handed in: the task is lent anew, and its lease cannot be renewed any more.
    package mutating func handedIn(_ task: Int64) {
        release(task)
        guard open[task] != nil else { return }
        open[task]!.token = nextToken
        nextToken += 1
    }

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
        remove([lease.task])
        counted[lease.task] = (lease.token, digest)
    }

    /// Forgets tasks, of a job that ended or of a file that is skipped.
    package mutating func remove(_ tasks: [Int64]) {
        for task in tasks {
            guard let entry = open[task] else { continue }
            if entry.worker == nil { take(task) }
            queues[entry.site]!.out -= 1
            open[task] = nil
        }
    }
}
