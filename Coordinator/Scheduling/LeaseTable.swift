import Cluster
import DequeModule
import OrderedCollections

/// Who works on what, and which receipt counts. Pure: time is passed in, in seconds of any clock that only grows.
///
/// Units are cut into tasks when they are lent. States of a task, and what moves it:
///
///     (cut) --> lent --(overdue, given back, its holder left)--> waiting --(lent anew: a new token)--> lent
///                |  `--(a second lending)--> lent twice --(one holder lost)--> lent
///                `--(a receipt under a live token)--> counted: gone from here, every token of it retired
///
/// The last token of a waiting task stays good until it is lent anew: a late receipt is as good as any. One that was handed in and not
/// counted retires its token.
package struct LeaseTable: Sendable {
    package struct Settings: Sendable, Equatable {
        /// Chunks grow until one takes about so many seconds.
        package var secondsWanted = 4.0
        /// Smallest chunks in one task at most.
        package var growthMost = 32
        /// Seconds after which the last tasks of a stage are lent a second time.
        package var secondAfter = 5.0
        /// For the simulation: receipts count whatever their token.
        package var ignoresTokens = false
        package init() {}
    }

    struct Hold: Sendable {
        var token: Int64
        /// Nil where it ran out or was given back; 0 where its holder is away and may come back.
        var worker: Int64?
        var deadline = 0.0
        var since = 0.0
        /// The process whose connection broke with it.
        var died: String?
    }

    struct Task: Sendable {
        let job: Int64
        let unit: Int64
        let queue: Int
        let first: Int32
        let end: Int32
        /// Smallest chunks in it.
        let cuts: Int32
        var hold: Hold
        var second: Hold?
        var attempts = 1
        var kills = 0
        /// Workers that could not do it.
        var failedOn: [Int64] = []
        var failingSince: Double?
        /// What failed rests before it is tried again, each time longer.
        var notBefore = 0.0

        var isLent: Bool { hold.worker != nil || second?.worker != nil }
        func isHeld(by worker: Int64) -> Bool { hold.worker == worker || second?.worker == worker }
        func isLive(_ token: Int64) -> Bool { token > 0 && (hold.token == token || second?.token == token) }
    }

    struct Unit: Sendable {
        var queue: Int
        var cuts: [Int32]
        var next: Int
        var open = 0
    }

    /// The work of one job at one set of sites.
    struct Queue: Sendable {
        let name: String
        let localPath: String?
        var units: Deque<Int64> = []
        /// Tasks to be lent anew; those that were settled meanwhile are passed over.
        var returned: Deque<Int64> = []
        /// Tasks lent, those lent twice once.
        var out = 0
        /// Of one smallest chunk, smoothed; nil before the first receipt.
        var seconds: Double?
    }

    struct Work: Sendable {
        var queues: [Queue] = []
        var units = IntegerMap<Unit>()
        /// Smallest chunks that are not cut into tasks yet.
        var uncut = 0
        /// Tasks that wait to be lent anew.
        var waiting = 0
        var out = 0
        var open = 0
        /// Smallest chunks in all, and in open tasks.
        var cutsAll = 0
        var cutsOpen = 0
        /// Blocks in a task at most.
        var blocksMost: Int32 = .max
        /// Tasks in the order they were lent, for the second lending; stale where the token is another.
        var lentOrder: Deque<LeaseName> = []
    }

    package enum Verdict: Equatable, Sendable {
        case count
        /// It may have been counted already: the ledger knows.
        case unknown
        case refuse(reason: String)
    }

    var settings: Settings
    var tasks = IntegerMap<Task>()
    var work: OrderedDictionary<Int64, Work> = [:]
    /// What each worker holds.
    var held = IntegerMap<[Int64]>()
    /// Leases by the second at which to look whether they are overdue.
    var calendar: Deque<[LeaseName]> = []
    var calendarStart: Int64 = 0
    /// When workers' connections broke, lately.
    private var deaths: Deque<(process: String, at: Double)> = []
    private static let deathsRemembered = 300.0
    package private(set) var nextToken: Int64
    package private(set) var nextTask: Int64

    /// - Parameter nextToken: larger than every token lent before; so for tasks.
    package init(_ settings: Settings = .init(), nextToken: Int64 = 1, nextTask: Int64 = 1) {
        self.settings = settings
        self.nextToken = nextToken
        self.nextTask = nextTask
    }

    // MARK: What comes and goes

    /// A job's units for its next stage.
    package mutating func begin(_ job: Int64, _ units: [WorkUnit], blocksMost: Int32 = .max) {
        var work = Work()
        work.blocksMost = blocksMost
        var places: OrderedDictionary<String, Int> = [:]
        for unit in units {
            // Local files of one directory can be read by the same workers.
            let directory = unit.localPath.map { $0.split(separator: "/").dropLast().joined(separator: "/") }
            let key = unit.queue + "\n" + (directory ?? "")
            let place = places[key] ?? work.queues.count
            if place == work.queues.count {
                places[key] = place
                work.queues.append(Queue(name: unit.queue, localPath: unit.localPath))
            }
            work.units[unit.id] = Unit(queue: place, cuts: unit.cuts, next: unit.next)
            work.uncut += unit.cuts.count - unit.next
            work.cutsAll += unit.cuts.count
            if unit.next < unit.cuts.count { work.queues[place].units.append(unit.id) }
        }
        self.work[job] = work
    }

    /// A task that an earlier life lent: its holder may still hand in the receipt.
    package mutating func restore(_ task: OpenTask, job: Int64, deadline: Double, now: Double) {
        guard let unit = work[job]?.units[task.unit] else { return }
        var entry = Task(
            job: job, unit: task.unit, queue: unit.queue, first: task.first, end: task.end,
            cuts: Int32(unit.cuts.count { $0 > task.first && $0 <= task.end }),
            hold: Hold(token: task.token, worker: 0, deadline: deadline, since: now))
        if task.token == 0 { entry.hold = Hold(token: -1) }
        if task.secondToken != 0 {
            entry.second = Hold(token: task.secondToken, worker: 0, deadline: deadline, since: now)
        }
        (entry.attempts, entry.kills) = (task.attempts, task.kills)
        tasks[task.id] = entry
        work[job]!.units.change(task.unit) { $0.open += 1 }
        work[job]!.open += 1
        work[job]!.cutsOpen += Int(entry.cuts)
        guard task.token != 0 else {
            // What was handed in undone is lent anew.
            work[job]!.waiting += 1
            return work[job]!.queues[unit.queue].returned.append(task.id)
        }
        work[job]!.out += 1
        work[job]!.queues[unit.queue].out += 1
        work[job]!.lentOrder.append(LeaseName(task: task.id, token: task.token))
        book(LeaseName(task: task.id, token: task.token), deadline)
        if task.secondToken != 0 { book(LeaseName(task: task.id, token: task.secondToken), deadline) }
    }

    /// Forgets a job's work.
    package mutating func end(_ job: Int64) {
        guard let work = work.removeValue(forKey: job) else { return }
        guard work.open > 0 else { return }
        for id in tasks.sortedKeys where tasks[id]!.job == job {
            drop(id, tasks[id]!)
            tasks[id] = nil
        }
    }

    /// Leaves out a unit with all its tasks.
    /// - Returns: those tasks.
    @discardableResult
    package mutating func remove(unit: Int64, of job: Int64) -> [Int64] {
        guard let entry = work[job]?.units[unit] else { return [] }
        let open = entry.open == 0 ? [] : tasks.sortedKeys.filter { tasks[$0]!.job == job && tasks[$0]!.unit == unit }
        for id in open { forget(id) }
        work[job]!.uncut -= entry.cuts.count - entry.next
        if let place = work[job]!.queues[entry.queue].units.firstIndex(of: unit) {
            work[job]!.queues[entry.queue].units.remove(at: place)
        }
        work[job]!.units[unit] = nil
        return open
    }

    mutating func drop(_ id: Int64, _ task: Task) {
        for worker in [task.hold.worker, task.second?.worker].compactMap({ $0 }) { unhold(id, worker) }
    }

    mutating func unhold(_ id: Int64, _ worker: Int64) {
        // Most are done in the order in which they were lent.
        held.change(worker) { tasks in if let place = tasks.firstIndex(of: id) { tasks.remove(at: place) } }
        if held[worker]?.isEmpty == true { held[worker] = nil }
    }

    /// A task is over: its unit has one open task less.
    private mutating func forget(_ id: Int64) {
        guard let task = tasks[id] else { return }
        drop(id, task)
        if task.isLent {
            work[task.job]!.out -= 1
            work[task.job]!.queues[task.queue].out -= 1
        } else {
            work[task.job]!.waiting -= 1
        }
        work[task.job]!.open -= 1
        work[task.job]!.cutsOpen -= Int(task.cuts)
        work[task.job]!.units.change(task.unit) { $0.open -= 1 }
        tasks[id] = nil
        trim(task.job)
    }

    // MARK: Receipts

    package func judge(_ lease: LeaseName) -> Verdict {
        guard let task = tasks[lease.task] else { return .unknown }
        if task.isLive(lease.token) || settings.ignoresTokens { return .count }
        return .refuse(
            reason: "task \(lease.task) was lent anew under token \(max(task.hold.token, task.second?.token ?? 0))")
    }

    /// What the task was, for the ledger.
    package func loan(_ lease: LeaseName, worker: Int64) -> Loan? {
        tasks[lease.task].map {
            Loan(lease: lease, job: $0.job, unit: $0.unit, first: $0.first, end: $0.end, worker: worker)
        }
    }

    /// - Parameter seconds: how long the worker worked on it.
    /// - Returns: whether its unit is complete, and whether another worker was faster than the lease's first holder.
    package mutating func settle(_ lease: LeaseName, seconds: Double?) -> (complete: Bool, beaten: Int64?) {
        guard let task = tasks[lease.task] else { return (false, nil) }
        if let seconds, seconds > 0, seconds < 1e6 {
            let each = seconds / Double(max(1, task.cuts))
            let before = work[task.job]!.queues[task.queue].seconds
            work[task.job]!.queues[task.queue].seconds = before.map { 0.8 * $0 + 0.2 * each } ?? each
        }
        let beaten = task.second?.token == lease.token ? task.hold.worker : nil
        forget(lease.task)
        let unit = work[task.job]!.units[task.unit]!
        let complete = unit.open == 0 && unit.next == unit.cuts.count
        if complete { work[task.job]!.units[task.unit] = nil }
        return (complete, beaten)
    }

    /// A receipt that was not counted was handed in: the task is lent anew, and its token is retired.
    package mutating func handedIn(_ lease: LeaseName, by worker: Int64, failed: Bool, now: Double) {
        let retired: Bool? = tasks.change(lease.task) { task in
            if failed {
                if !task.failedOn.contains(worker) { task.failedOn.append(worker) }
                task.failingSince = task.failingSince ?? now
                task.notBefore = now + min(5, 0.1 * Double(min(task.attempts, 50)))
            }
            return task.isLive(lease.token)
        }
        guard retired == true else { return }
        release(lease)
        tasks.change(lease.task) { if $0.hold.token == lease.token { $0.hold.token = -1 } }
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

    /// The worker says what it holds: those leases live on, and those of an earlier session of it become its own.
    package mutating func renew(_ leases: [LeaseName], worker: Int64, deadline: Double) {
        for lease in leases {
            guard let task = tasks[lease.task], task.isLive(lease.token) else { continue }
            let wasLent = task.isLent
            let isSecond = task.second?.token == lease.token
            let holder = isSecond ? task.second!.worker : task.hold.worker
            if let other = isSecond ? task.hold.worker : task.second?.worker, other == worker { continue }
            tasks.change(lease.task) {
                let hold = Hold(
                    token: lease.token, worker: worker, deadline: deadline,
                    since: isSecond ? $0.second!.since : $0.hold.since)
                if isSecond { $0.second = hold } else { $0.hold = hold }
            }
            guard holder != worker else { continue }
            if let holder { unhold(lease.task, holder) }
            hold(lease.task, worker)
            book(lease, deadline)
            if !wasLent { nowLent(task) }
        }
    }

    mutating func hold(_ task: Int64, _ worker: Int64) {
        if held.change(worker, { $0.append(task) }) == nil { held[worker] = [task] }
    }

    /// A waiting task is lent.
    mutating func nowLent(_ task: Task) {
        work[task.job]!.waiting -= 1
        work[task.job]!.out += 1
        work[task.job]!.queues[task.queue].out += 1
    }

    /// Takes back what is overdue.
    /// - Parameter isBack: whether a process that was believed dead has joined again.
    /// - Returns: what ran out, and the tasks with which a worker has died, as far as one can tell; those are guilty with which two have died,
    ///   or, where workers die without them too, more than without them (five at most).
    package mutating func expire(
        now: Double, isBack: (String) -> Bool = { _ in false }
    ) -> (overdue: [LeaseName], killers: [(task: Int64, process: String, isGuilty: Bool)]) {
        while let first = deaths.first, now - first.at > Self.deathsRemembered { deaths.removeFirst() }
        var overdue: [LeaseName] = []
        var killers: [(task: Int64, process: String, isGuilty: Bool)] = []
        while !calendar.isEmpty, Double(calendarStart) <= now {
            let due = calendar.removeFirst()
            calendarStart += 1
            for lease in due {
                guard let task = tasks[lease.task], task.isLive(lease.token) else { continue }
                let hold = task.second?.token == lease.token ? task.second! : task.hold
                guard hold.worker != nil else { continue }
                if hold.deadline >= now {
                    book(lease, hold.deadline)
                    continue
                }
                overdue.append(lease)
                release(lease)
                guard let process = hold.died, !isBack(process) else { continue }
                tasks.change(lease.task) { $0.kills += 1 }
                let kills = tasks[lease.task]!.kills
                killers.append((lease.task, process, kills >= 2 && (kills > deaths.count - kills || kills >= 5)))
            }
        }
        return (overdue, killers)
    }

    /// A process that may have been believed dead is here: none of the suspects has killed it.
    /// - Returns: those that are still open.
    package mutating func isBack(_ process: String, suspects: [Int64]) -> [Int64] {
        if let place = deaths.lastIndex(where: { $0.process == process }) { deaths.remove(at: place) }
        return suspects.filter { id in tasks.change(id) { $0.kills = max(0, $0.kills - 1) } != nil }
    }

    /// Takes one lease back.
    package mutating func release(_ lease: LeaseName) {
        guard let task = tasks[lease.task], task.isLive(lease.token), task.isLent else { return }
        let isSecond = task.second?.token == lease.token
        guard let worker = isSecond ? task.second!.worker : task.hold.worker else { return }
        unhold(lease.task, worker)
        tasks.change(lease.task) {
            if !isSecond, let second = $0.second { $0.hold = second }
            if $0.second != nil { $0.second = nil } else { $0.hold.worker = nil }
        }
        // The second holder is the first now, and may be overtaken itself.
        if let token = tasks[lease.task]?.hold.token, token != task.hold.token {
            work[task.job]!.lentOrder.append(LeaseName(task: lease.task, token: token))
        }
        guard tasks[lease.task]?.isLent == false else { return }
        work[task.job]!.out -= 1
        work[task.job]!.queues[task.queue].out -= 1
        work[task.job]!.queues[task.queue].returned.append(lease.task)
        work[task.job]!.waiting += 1
    }

    /// A worker's session ended. One that said goodbye gives back what it held; else its leases live on until they are overdue: it may
    /// come back, or have died of one of them.
    /// - Parameter died: the process, where its connection broke.
    package mutating func workerLeft(_ worker: Int64, saidGoodbye: Bool, died: String?, now: Double) {
        if let died { deaths.append((died, now)) }
        if deaths.count > 1000 { deaths.removeFirst() }
        for id in held[worker] ?? [] {
            guard let task = tasks[id] else { continue }
            let token = task.second?.worker == worker ? task.second!.token : task.hold.token
            if saidGoodbye {
                release(LeaseName(task: id, token: token))
                continue
            }
            tasks.change(id) {
                if $0.second?.worker == worker {
                    ($0.second!.worker, $0.second!.died) = (0, died)
                } else {
                    ($0.hold.worker, $0.hold.died) = (0, died)
                }
            }
        }
        held[worker] = nil
    }

    mutating func newToken() -> Int64 {
        defer { nextToken += 1 }
        return nextToken
    }

    mutating func newTask() -> Int64 {
        defer { nextTask += 1 }
        return nextTask
    }
}

extension IntegerMap {
    subscript(key: Int64, default value: @autoclosure () -> Value) -> Value {
        get { self[key] ?? value() }
        set { self[key] = newValue }
    }
}
