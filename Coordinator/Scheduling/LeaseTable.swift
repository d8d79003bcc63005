package import Cluster
import DequeModule
import OrderedCollections

/// Who works on what, and which receipt counts. Pure: time is passed in, in seconds of any clock that only grows.
///
/// Units are cut into tasks when they are assigned. States of a task, and what moves it:
///
///     (cut) --> assigned --(overdue, given back, its holder left)--> waiting
///     waiting --(assigned again: a new token)--> assigned
///     assigned --(a speculative assignment)--> speculative --(one holder lost)--> assigned
///     any of them --(a receipt under a live token)--> counted: gone from here, every token of it retired
///
/// The last token of a waiting task stays good until it is assigned again: a late receipt is as good as any. One that
/// was handed in and not counted retires its token.
package struct LeaseTable: Sendable {
    /// When and in what size tasks are assigned.
    package struct Settings: Sendable, Equatable {
        /// Chunks grow until one takes about so many seconds.
        package var secondsWanted = 4.0
        /// Smallest chunks in one task at most.
        package var maxGrowth = 32
        /// Seconds after which the last tasks of a stage are assigned to a second worker.
        package var speculateAfter = 5.0
        /// For the simulation: receipts count whatever their token.
        package var ignoresTokens = false
        package init() {}
    }

    /// Whether a receipt counts.
    package enum Decision: Equatable, Sendable {
        case count
        /// It may have been counted already: the ledger knows.
        case unknown
        case reject(reason: String)
    }

    /// A task with which a worker has died, as far as is known.
    package struct Crash: Equatable, Sendable {
        package var task: TaskID
        package var process: String
        /// So many died with the task that it is the likely cause.
        package var isPoison: Bool
    }

    var settings: Settings
    var tasks = IntegerMap<TaskID, Task>()
    var work: OrderedDictionary<JobID, Work> = [:]
    /// What each worker holds.
    var held = IntegerMap<WorkerID, [TaskID]>()
    /// Leases by the second at which to look whether they are overdue.
    var calendar: Deque<[LeaseName]> = []
    var calendarStart: Int64 = 0
    /// When workers' connections broke, lately.
    private var deaths: Deque<(process: String, at: Double)> = []
    private static let deathsRemembered = 300.0
    /// Workers whose connections broke lately, and that did not come back.
    var recentDeaths: Int { deaths.count }
    package private(set) var nextToken: Token
    package private(set) var nextTask: TaskID

    /// - Parameters:
    ///   - nextToken: larger than every token given out before.
    ///   - nextTask: larger than every task's number before.
    package init(_ settings: Settings = .init(), nextToken: Token = Token(1), nextTask: TaskID = TaskID(1)) {
        self.settings = settings
        self.nextToken = nextToken
        self.nextTask = nextTask
    }

    // MARK: What comes and goes

    /// Takes in a job's units for its next stage.
    package mutating func begin(_ job: JobID, _ units: [WorkUnit], maxBlocks: Int32 = .max) {
        struct Key: Hashable {
            var sites: [String]
            /// Local files of one directory can be read by the same workers.
            var directory: String?
        }
        var work = Work()
        work.maxBlocks = maxBlocks
        var queues: [Key: Int] = [:]
        for unit in units {
            let directory = unit.localPath.map { $0.split(separator: "/").dropLast().joined(separator: "/") }
            let key = Key(sites: unit.sites, directory: directory)
            let queue = queues[key] ?? work.queues.count
            if queue == work.queues.count {
                queues[key] = queue
                work.queues.append(Queue(sites: unit.sites, localPath: unit.localPath))
            }
            work.units[unit.id] = Unit(queue: queue, cuts: unit.cuts, next: unit.next)
            work.uncut += unit.cuts.count - unit.next
            work.allCuts += unit.cuts.count
            if unit.next < unit.cuts.count { work.queues[queue].units.append(unit.id) }
        }
        self.work[job] = work
    }

    /// Takes in a task that an earlier life assigned: its holder may still hand in the receipt.
    package mutating func restore(_ task: OpenTask, deadline: Double, now: Double) {
        let extent = task.extent
        guard let unit = work[extent.job]?.units[extent.unit] else { return }
        func lease(_ token: Token) -> Lease {
            Lease(token: token, holder: .away(died: nil), deadline: deadline, since: now)
        }
        var entry = Task(
            extent: extent, queue: unit.queue,
            cuts: Int32(unit.cuts.count { $0 > extent.first && $0 <= extent.end }), state: .waiting(last: nil))
        if let token = task.token {
            entry.state =
                task.secondToken.map { .speculative(lease(token), second: lease($0)) } ?? .assigned(lease(token))
        }
        (entry.attempts, entry.crashes) = (task.attempts, task.crashes)
        transition(task.id, to: entry)
        for lease in entry.leases { book(LeaseName(task: task.id, token: lease.token), deadline) }
    }

    /// Forgets a job's work.
    package mutating func end(_ job: JobID) {
        guard let work = work.removeValue(forKey: job), work.open > 0 else { return }
        for id in tasks.sortedKeys where tasks[id]?.extent.job == job { transition(id, to: nil) }
    }

    /// Leaves out a unit with all its tasks.
    /// - Returns: those tasks.
    @discardableResult
    package mutating func remove(_ unit: UnitID, of job: JobID) -> [TaskID] {
        guard let entry = work[job]?.units[unit] else { return [] }
        let open =
            entry.open == 0
            ? [] : tasks.sortedKeys.filter { tasks[$0]?.extent.job == job && tasks[$0]?.extent.unit == unit }
        for id in open { forget(id) }
        work[job]?.uncut -= entry.cuts.count - entry.next
        work[job]?.queues[entry.queue].units.removeAll { $0 == unit }
        work[job]?.units[unit] = nil
        return open
    }

    /// A task is over.
    private mutating func forget(_ id: TaskID) {
        guard let task = tasks[id] else { return }
        transition(id, to: nil)
        trim(task.extent.job)
    }

    // MARK: Receipts

    /// Whether a receipt under this lease counts.
    package func check(_ lease: LeaseName) -> Decision {
        guard let task = tasks[lease.task] else { return .unknown }
        if task.isLive(lease.token) || settings.ignoresTokens { return .count }
        let newest = task.newestToken.map { "it was assigned again under token \($0)" } ?? "its last token is retired"
        return .reject(reason: "token \(lease.token) of task \(lease.task) does not count any more: \(newest)")
    }

    /// What an open task covers.
    package func extent(_ task: TaskID) -> TaskExtent? { tasks[task]?.extent }

    /// Ends a task whose receipt counts.
    /// - Parameter seconds: how long the worker worked on it.
    /// - Returns: whether its unit is complete, and the first holder where the receipt is that of the speculative one.
    package mutating func settle(_ lease: LeaseName, seconds: Double?) -> (complete: Bool, straggler: WorkerID?) {
        guard let task = tasks[lease.task] else { return (false, nil) }
        let extent = task.extent
        if let seconds, seconds > 0, seconds < 1e6 {
            let each = seconds / Double(max(1, task.cuts))
            let before = work[extent.job]?.queues[task.queue].seconds
            work[extent.job]?.queues[task.queue].seconds = before.map { 0.8 * $0 + 0.2 * each } ?? each
        }
        var straggler: WorkerID?
        if case .speculative(let first, let second) = task.state, second.token == lease.token {
            straggler = first.worker
        }
        forget(lease.task)
        let complete = work[extent.job]?.units[extent.unit]?.isComplete ?? false
        if complete { work[extent.job]?.units[extent.unit] = nil }
        return (complete, straggler)
    }

    /// A receipt that was not counted was handed in: the task is assigned again, and its token is retired.
    package mutating func handedIn(_ lease: LeaseName, by worker: WorkerID, failed: Bool, now: Double) {
        if failed {
            tasks.change(lease.task) { task in
                if !task.failedOn.contains(worker) { task.failedOn.append(worker) }
                task.failingSince = task.failingSince ?? now
                task.notBefore = now + min(5, 0.1 * Double(min(task.attempts, 50)))
            }
        }
        release(lease)
        if case .waiting(let last?)? = tasks[lease.task]?.state, last.token == lease.token {
            transition(lease.task, to: .waiting(last: nil))
        }
    }

    // MARK: Time

    mutating func book(_ lease: LeaseName, _ deadline: Double) {
        let second = Int64(deadline) + 1
        if calendar.isEmpty { calendarStart = second }
        while second < calendarStart {
            calendar.prepend([])
            calendarStart -= 1
        }
        while second - calendarStart >= calendar.count { calendar.append([]) }
        calendar[Int(second - calendarStart)].append(lease)
    }

    /// The worker reports what it holds: those leases live on, and those of an earlier session of it become its own.
    /// - Returns: those that no receipt will be counted under.
    @discardableResult
    package mutating func renew(_ leases: [LeaseName], worker: WorkerID, deadline: Double) -> [LeaseName] {
        var void: [LeaseName] = []
        for lease in leases {
            guard var task = tasks[lease.task], task.isLive(lease.token) else {
                void.append(lease)
                continue
            }
            let holder = task.leases.first { $0.token == lease.token }?.holder
            if holder == .worker(worker) {
                tasks.change(lease.task) { $0.change(lease.token) { $0.deadline = deadline } }
                continue
            }
            // It holds the task already, under the other token.
            if task.isHeld(by: worker) { continue }
            if case .waiting(let last?) = task.state {
                task.state = .assigned(
                    Lease(token: last.token, holder: .worker(worker), deadline: deadline, since: last.since))
            } else {
                task.change(lease.token) { ($0.holder, $0.deadline) = (.worker(worker), deadline) }
            }
            transition(lease.task, to: task)
            book(lease, deadline)
        }
        return void
    }

    /// Takes back what is overdue.
    /// - Parameter isBack: whether a process that was believed dead has joined again.
    /// - Returns: what ran out, and the tasks with which a worker has died; `CrashRule` decides which are poison.
    package mutating func expire(
        now: Double, isBack: (String) -> Bool = { _ in false }
    ) -> (overdue: [LeaseName], crashes: [Crash]) {
        while let first = deaths.first, now - first.at > Self.deathsRemembered { deaths.removeFirst() }
        var overdue: [LeaseName] = []
        var crashes: [Crash] = []
        while !calendar.isEmpty, Double(calendarStart) <= now {
            let due = calendar.removeFirst()
            calendarStart += 1
            for lease in due {
                guard let entry = tasks[lease.task]?.leases.first(where: { $0.token == lease.token }) else { continue }
                if entry.deadline >= now {
                    book(lease, entry.deadline)
                    continue
                }
                overdue.append(lease)
                release(lease)
                guard case .away(let process?) = entry.holder, !isBack(process),
                    let count = tasks.change(
                        lease.task,
                        { task in
                            task.crashes += 1
                            return task.crashes
                        })
                else { continue }
                let isPoison = CrashRule.isPoison(times: count, with: count, all: deaths.count)
                crashes.append(Crash(task: lease.task, process: process, isPoison: isPoison))
            }
        }
        return (overdue, crashes)
    }

    /// A process that was believed dead is here: none of the tasks that it held then made it crash.
    /// - Returns: those of them that are still open.
    package mutating func cameBack(_ process: String, suspects: [TaskID]) -> [TaskID] {
        if let index = deaths.lastIndex(where: { $0.process == process }) { deaths.remove(at: index) }
        return suspects.filter { id in tasks.change(id) { $0.crashes = max(0, $0.crashes - 1) } != nil }
    }

    /// Takes one lease back.
    package mutating func release(_ lease: LeaseName) {
        if let state = tasks[lease.task]?.without(lease.token) { transition(lease.task, to: state) }
    }

    /// A worker's session ended. One that took its leave gives back what it held; else its leases live on until they
    /// are overdue: it may come back, or have died of one of them.
    /// - Parameter died: the process, where its connection broke.
    package mutating func workerLeft(_ worker: WorkerID, tookLeave: Bool, died: String?, now: Double) {
        if let died { deaths.append((died, now)) }
        if deaths.count > 1000 { deaths.removeFirst() }
        let ids = held[worker] ?? []
        held[worker] = nil
        for id in ids {
            guard let lease = tasks[id]?.leases.first(where: { $0.worker == worker }) else { continue }
            if tookLeave {
                release(LeaseName(task: id, token: lease.token))
            } else {
                tasks.change(id) { $0.change(lease.token) { $0.holder = .away(died: died) } }
            }
        }
    }

    mutating func newToken() -> Token {
        defer { nextToken = nextToken.next }
        return nextToken
    }

    mutating func newTask() -> TaskID {
        defer { nextTask = nextTask.next }
        return nextTask
    }
}

extension IntegerMap {
    subscript(key: Key, default value: @autoclosure () -> Value) -> Value {
        get { self[key] ?? value() }
        set { self[key] = newValue }
    }
}
