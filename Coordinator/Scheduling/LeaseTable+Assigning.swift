package import Cluster
import DequeModule
import OrderedCollections

extension LeaseTable {
    /// A worker that has capacity for tasks.
    package struct Candidate {
        package var worker: WorkerID
        /// Tasks that it can take.
        package var capacity: Int
        /// Directories whose files it may read.
        package var roots: [String]
        /// Workers there are; the last chunks of a stage are small, so that all end together.
        package var workers: Int
        /// How many workers could do what lies at a path (nil: at a site).
        package var able: (String?) -> Int

        package init(
            worker: WorkerID, capacity: Int, roots: [String], workers: Int, able: ((String?) -> Int)? = nil
        ) {
            self.able = able ?? { _ in workers }
            self.worker = worker
            self.capacity = capacity
            self.roots = roots
            self.workers = workers
        }
    }

    // MARK: Looking

    /// The number of tasks that a worker holds, speculative ones included.
    package func heldCount(_ worker: WorkerID) -> Int { held[worker]?.count ?? 0 }
    /// The tasks that a worker holds, speculative ones included.
    package func heldTasks(_ worker: WorkerID) -> [TaskID] { held[worker] ?? [] }
    /// The number of a job's tasks that are out, assigned and not taken back; one that two workers have counts once.
    package func out(_ job: JobID) -> Int { work[job]?.out ?? 0 }
    /// Whether a task of the job waits to be assigned again.
    package func hasWaiting(_ job: JobID) -> Bool { work[job].map { $0.waiting > 0 } ?? false }
    /// Whether there is something to assign.
    package func hasWork(_ job: JobID) -> Bool { work[job].map { $0.uncut > 0 || $0.waiting > 0 } ?? false }
    /// Whether nothing is left to do.
    package func isComplete(_ job: JobID) -> Bool { work[job].map { $0.uncut == 0 && $0.open == 0 } ?? true }
    /// Smallest chunks that are counted, of all that there are.
    package func progress(_ job: JobID) -> (done: Int, all: Int) {
        work[job].map { ($0.allCuts - $0.uncut - $0.openCuts, $0.allCuts) } ?? (0, 0)
    }
    /// The queues with work that nobody does.
    package func waitingQueues(_ job: JobID) -> [(sites: [String], localPath: String?)] {
        (work[job]?.queues ?? []).filter(\.hasWork).map { ($0.sites, $0.localPath) }
    }
    /// Whether a worker that may read these directories could do some of what is left.
    func offers(_ job: JobID, roots: [String]) -> Bool {
        (work[job]?.queues ?? []).contains { queue in
            (queue.hasWork || queue.out > 0) && (queue.localPath.map { mayRead($0, below: roots) } ?? true)
        }
    }

    /// The leases of a job, or of one of its units, that workers hold; in the order of the workers' numbers.
    package func holders(of job: JobID, unit: UnitID? = nil) -> [(worker: WorkerID, leases: [LeaseName])] {
        held.sortedKeys.compactMap { worker in
            let leases = heldTasks(worker).flatMap { id -> [LeaseName] in
                guard let task = tasks[id], task.extent.job == job, unit == nil || task.extent.unit == unit else {
                    return []
                }
                return task.leases.filter { $0.worker == worker }.map { LeaseName(task: id, token: $0.token) }
            }
            return leases.isEmpty ? nil : (worker, leases)
        }
    }

    /// The lease of the same task that another worker holds beside this one.
    func twin(of lease: LeaseName) -> (worker: WorkerID, lease: LeaseName)? {
        guard let other = tasks[lease.task]?.leases.first(where: { $0.token != lease.token }), let worker = other.worker
        else { return nil }
        return (worker, LeaseName(task: lease.task, token: other.token))
    }

    func firstToken(_ task: TaskID) -> Token? { tasks[task]?.firstToken }
    /// The path of a task whose data only some workers may read.
    package func localPath(_ task: TaskID) -> String? {
        tasks[task].flatMap { work[$0.extent.job]?.queues[$0.queue].localPath }
    }
    /// How often a task was tried, which workers failed on it, and since when it has failed.
    package func failures(_ task: TaskID) -> (attempts: Int, workers: [WorkerID], since: Double?) {
        tasks[task].map { ($0.attempts, $0.failedOn, $0.failingSince) } ?? (0, [], nil)
    }

    // MARK: Assigning

    /// Assigns a job's work: each time of the sites that have the fewest tasks out, so that no site's link is idle
    /// while another's is full; what was given back first, then the next of the files in their order.
    /// - Parameter maxTasks: how many tasks of a queue may be out at once, by its sites.
    package mutating func assign(
        _ job: JobID, to candidate: Candidate, deadline: Double, now: Double, maxTasks: ([String]) -> Int
    ) -> [Assignment] {
        var assignments: [Assignment] = []
        var passed: [Int] = []
        while assignments.count < candidate.capacity,
            let queue = bestQueue(job, for: candidate, without: passed, maxTasks: maxTasks)
        {
            if let assignment = reassign(job, queue, to: candidate, deadline: deadline, now: now)
                ?? cut(job, queue, to: candidate, deadline: deadline, now: now)
            {
                assignments.append(assignment)
            } else {
                passed.append(queue)
            }
        }
        return assignments
    }

    /// Of the queues that have something for the candidate, the one with the fewest tasks out.
    private func bestQueue(
        _ job: JobID, for candidate: Candidate, without passed: [Int], maxTasks: ([String]) -> Int
    ) -> Int? {
        guard let work = work[job], work.uncut > 0 || work.waiting > 0 else { return nil }
        var best: (index: Int, out: Int)?
        for index in work.queues.indices where !passed.contains(index) {
            let queue = work.queues[index]
            guard queue.hasWork, queue.out < best?.out ?? .max, queue.out < maxTasks(queue.sites) else { continue }
            if let path = queue.localPath, !mayRead(path, below: candidate.roots) { continue }
            best = (index, queue.out)
        }
        return best?.index
    }

    /// The oldest task that was given back, and that this worker has not failed on; where all others have failed too,
    /// any.
    private mutating func reassign(
        _ job: JobID, _ queue: Int, to candidate: Candidate, deadline: Double, now: Double
    ) -> Assignment? {
        let (waiting, localPath) = (work[job]?.queues[queue].waiting.count ?? 0, work[job]?.queues[queue].localPath)
        guard waiting > 0 else { return nil }
        var passed: [TaskID] = []
        defer { for id in passed.reversed() { work[job]?.queues[queue].waiting.prepend(id) } }
        // A worker dies with one suspect at a time: then it is known which it was.
        let hasSuspect = heldTasks(candidate.worker).contains { (tasks[$0]?.crashes ?? 0) > 0 }
        for _ in 0..<min(16, waiting) {
            guard let id = work[job]?.queues[queue].waiting.popFirst() else { break }
            guard var task = tasks[id], !task.isAssigned else { continue }
            if now < task.notBefore
                || task.failedOn.contains(candidate.worker) && task.failedOn.count < candidate.able(localPath)
                || hasSuspect && task.crashes > 0
            {
                passed.append(id)
                continue
            }
            task.attempts += 1
            return assign(id, task, to: candidate.worker, deadline: deadline, now: now)
        }
        return nil
    }

    private mutating func cut(
        _ job: JobID, _ queue: Int, to candidate: Candidate, deadline: Double, now: Double
    ) -> Assignment? {
        // No copy of the work may be held here: its next change would copy its tables.
        guard let id = work[job]?.queues[queue].units.first, let unit = work[job]?.units[id] else { return nil }
        let maxBlocks = work[job]?.maxBlocks ?? 1
        let start = unit.next == 0 ? 0 : unit.cuts[unit.next - 1]
        var next = unit.next + 1
        let wanted = growth(job, queue, workers: candidate.workers)
        while next < unit.cuts.count, next - unit.next < wanted, unit.cuts[next] - start <= maxBlocks { next += 1 }
        work[job]?.units.change(id) { $0.next = next }
        work[job]?.uncut -= next - unit.next
        if next == unit.cuts.count { work[job]?.queues[queue].units.removeFirst() }
        let task = Task(
            extent: TaskExtent(job: job, unit: id, first: start, end: unit.cuts[next - 1]), queue: queue,
            cuts: Int32(next - unit.next), state: .waiting(last: nil))
        return assign(newTask(), task, to: candidate.worker, deadline: deadline, now: now)
    }

    /// Smallest chunks for the next task: as many as take the wanted time, fewer near the end.
    private func growth(_ job: JobID, _ queue: Int, workers: Int) -> Int {
        guard let work = work[job], let seconds = work.queues[queue].seconds else { return 1 }
        let wanted = min(Double(settings.maxGrowth), settings.secondsWanted / max(1e-3, seconds))
        return max(1, min(Int(wanted), work.uncut / (4 * max(1, workers))))
    }

    private mutating func assign(
        _ id: TaskID, _ task: Task, to worker: WorkerID, deadline: Double, now: Double
    ) -> Assignment {
        let lease = LeaseName(task: id, token: newToken())
        var task = task
        task.state = .assigned(Lease(token: lease.token, holder: .worker(worker), deadline: deadline, since: now))
        transition(id, to: task)
        book(lease, deadline)
        trim(task.extent.job)
        return Assignment(lease: lease, extent: task.extent, worker: worker)
    }

    /// Forgets the oldest entries of the order that are stale.
    mutating func trim(_ job: JobID) {
        while let lease = work[job]?.assignedOrder.first, tasks[lease.task]?.firstToken != lease.token {
            work[job]?.assignedOrder.removeFirst()
        }
        // A straggler at the front must not keep all that came after it.
        guard let entry = work[job], entry.assignedOrder.count > 64 + 2 * entry.open else { return }
        let live = entry.assignedOrder.filter { tasks[$0.task]?.firstToken == $0.token }
        work[job]?.assignedOrder = Deque(live)
    }

    // MARK: Speculation

    /// Whether nothing waits, and the task that was assigned longest ago is late.
    package func hasStragglers(_ job: JobID, now: Double) -> Bool {
        guard let work = work[job], work.uncut == 0, work.waiting == 0, work.out > 0,
            let oldest = work.assignedOrder.first, let lease = tasks[oldest.task]?.leases.first
        else { return false }
        return now - lease.since > settings.speculateAfter
    }

    /// Near a stage's end, assigns what others have had for long to a second worker; the first receipt counts.
    package mutating func speculate(
        _ job: JobID, to candidate: Candidate, deadline: Double, now: Double, maxTasks: ([String]) -> Int
    ) -> [Assignment] {
        trim(job)
        guard let entry = work[job], entry.uncut == 0, entry.waiting == 0, entry.out > 0 else { return [] }
        var assignments: [Assignment] = []
        for lease in entry.assignedOrder.prefix(64) where assignments.count < candidate.capacity {
            guard let task = tasks[lease.task], case .assigned(let first) = task.state, first.token == lease.token,
                task.crashes == 0, first.worker != candidate.worker, !task.failedOn.contains(candidate.worker)
            else { continue }
            let queue = entry.queues[task.queue]
            let usual = 3 * (queue.seconds ?? settings.speculateAfter) * Double(task.cuts)
            guard maxTasks(queue.sites) > 0, now - first.since > max(settings.speculateAfter, usual) else { continue }
            if let path = queue.localPath, !mayRead(path, below: candidate.roots) { continue }
            let second = Lease(token: newToken(), holder: .worker(candidate.worker), deadline: deadline, since: now)
            transition(lease.task, to: .speculative(first, second: second))
            let name = LeaseName(task: lease.task, token: second.token)
            book(name, deadline)
            assignments.append(Assignment(lease: name, extent: task.extent, worker: candidate.worker))
        }
        return assignments
    }

    // MARK: Checking

    /// What must hold after every event; nil where it does.
    package func validate() -> String? {
        var tokens: OrderedSet<Token> = []
        var open = IntegerMap<JobID, Int>()
        for id in tasks.sortedKeys {
            guard let task = tasks[id] else { continue }
            let extent = task.extent
            guard let unit = work[extent.job]?.units[extent.unit] else { return "task \(id) is of no job's unit" }
            if extent.first >= extent.end || (unit.cuts.last ?? 0) < extent.end {
                return "task \(id) has blocks \(extent.first)..<\(extent.end)"
            }
            for token in Set([task.firstToken, task.newestToken].compactMap { $0 }) {
                if token >= nextToken { return "task \(id) has token \(token), which was never given out" }
                if !tokens.append(token).inserted { return "token \(token) is that of two leases" }
            }
            let workers = task.leases.compactMap(\.worker)
            for worker in workers where held[worker]?.contains(id) != true {
                return "worker \(worker) does not know that it holds task \(id)"
            }
            if Set(workers).count != workers.count { return "task \(id) is assigned twice to one worker" }
            open[extent.job, default: 0] += 1
        }
        for worker in held.sortedKeys {
            for id in held[worker] ?? [] where tasks[id]?.isHeld(by: worker) != true {
                return "worker \(worker) holds task \(id), which does not know it"
            }
        }
        return work.keys.lazy.compactMap { validate($0, open: open[$0] ?? 0) }.first
    }

    private func validate(_ job: JobID, open: Int) -> String? {
        guard let work = work[job] else { return nil }
        if open != work.open { return "job \(job) has \(open) tasks, not \(work.open)" }
        if work.out != work.queues.reduce(0, { $0 + $1.out }) {
            return "job \(job): \(work.out) tasks are out, by queues others"
        }
        if work.out + work.waiting != work.open {
            return "job \(job): \(work.out) tasks out and \(work.waiting) waiting are not \(work.open)"
        }
        let uncut = work.units.sortedKeys.compactMap { work.units[$0] }.reduce(0) { $0 + $1.cuts.count - $1.next }
        return uncut == work.uncut ? nil : "job \(job): \(uncut) chunks are to be cut, not \(work.uncut)"
    }
}
