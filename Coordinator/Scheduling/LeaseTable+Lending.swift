import Cluster
import DequeModule
import OrderedCollections

extension LeaseTable {
    /// Who wants work.
    package struct Borrower {
        package var worker: Int64
        package var room: Int
        /// Directories whose files it may read.
        package var roots: [String]
        /// Workers there are; the last chunks of a stage are small, so that all end together.
        package var workers: Int

        /// How many workers could do what lies at a path (nil: at a site).
        package var able: (String?) -> Int

        package init(worker: Int64, room: Int, roots: [String], workers: Int, able: ((String?) -> Int)? = nil) {
            self.able = able ?? { _ in workers }
            self.worker = worker
            self.room = room
            self.roots = roots
            self.workers = workers
        }
    }

    package func heldCount(_ worker: Int64) -> Int { held[worker]?.count ?? 0 }
    package func heldTasks(_ worker: Int64) -> [Int64] { held[worker] ?? [] }
    package func out(_ job: Int64) -> Int { work[job]?.out ?? 0 }
    package func hasReturned(_ job: Int64) -> Bool { work[job].map { $0.waiting > 0 } ?? false }
    package func hasWork(_ job: Int64) -> Bool { work[job].map { $0.uncut > 0 || $0.waiting > 0 } ?? false }
    /// Nothing is left to do.
    package func isComplete(_ job: Int64) -> Bool { work[job].map { $0.uncut == 0 && $0.open == 0 } ?? true }
    /// Smallest chunks that are counted, of all that there are.
    package func progress(_ job: Int64) -> (done: Int, all: Int) {
        work[job].map { ($0.cutsAll - $0.uncut - $0.cutsOpen, $0.cutsAll) } ?? (0, 0)
    }
    package var openCount: Int { tasks.count }
    /// Sites with work that nobody does.
    package func waitingQueues(_ job: Int64) -> [(name: String, localPath: String?)] {
        (work[job]?.queues ?? []).filter { !$0.units.isEmpty || !$0.returned.isEmpty }.map { ($0.name, $0.localPath) }
    }
    /// Whether one that may read these directories could do some of what is left.
    func offers(_ job: Int64, roots: [String]) -> Bool {
        (work[job]?.queues ?? []).contains { queue in
            (!queue.units.isEmpty || !queue.returned.isEmpty || queue.out > 0)
                && (queue.localPath.map { mayRead($0, below: roots) } ?? true)
        }
    }

    func firstToken(_ task: Int64) -> Int64 { tasks[task]?.hold.token ?? 0 }
    /// Of a task whose data only some workers may read.
    package func localPath(_ task: Int64) -> String? {
        tasks[task].flatMap { work[$0.job]!.queues[$0.queue].localPath }
    }
    package func failures(_ task: Int64) -> (attempts: Int, workers: [Int64], since: Double?) {
        tasks[task].map { ($0.attempts, $0.failedOn, $0.failingSince) } ?? (0, [], nil)
    }

    /// Lends a job's work: each time of the sites that have the fewest tasks out, so that no site's link is idle while another's is full;
    /// what was given back first, then the next of the files in their order.
    /// - Parameter tasksMost: how many tasks of a queue may be out at once.
    package mutating func lend(
        _ job: Int64, to borrower: Borrower, deadline: Double, now: Double, tasksMost: (String) -> Int
    ) -> [Loan] {
        var loans: [Loan] = []
        var refused: [Int] = []
        while loans.count < borrower.room, let place = best(job, borrower, refused, tasksMost) {
            if let loan = returned(job, place, borrower, deadline, now) ?? cut(job, place, borrower, deadline, now) {
                loans.append(loan)
            } else {
                refused.append(place)
            }
        }
        return loans
    }

    /// Of the queues that have something for the borrower, the one with the fewest tasks out.
    private func best(_ job: Int64, _ borrower: Borrower, _ refused: [Int], _ tasksMost: (String) -> Int) -> Int? {
        guard let work = work[job], work.uncut > 0 || work.waiting > 0 else { return nil }
        var best: (place: Int, out: Int)?
        for place in work.queues.indices where !refused.contains(place) {
            let queue = work.queues[place]
            guard !queue.units.isEmpty || !queue.returned.isEmpty, queue.out < best?.out ?? .max,
                queue.out < tasksMost(queue.name)
            else { continue }
            if let path = queue.localPath, !mayRead(path, below: borrower.roots) { continue }
            best = (place, queue.out)
        }
        return best?.place
    }

    /// The oldest task that was given back, and that this worker has not failed on; where all others have failed too, any.
    private mutating func returned(
        _ job: Int64, _ place: Int, _ borrower: Borrower, _ deadline: Double, _ now: Double
    ) -> Loan? {
        guard !work[job]!.queues[place].returned.isEmpty else { return nil }
        var passed: [Int64] = []
        defer { for id in passed.reversed() { work[job]!.queues[place].returned.prepend(id) } }
        // A worker dies with one suspect at a time: then it is known which it was.
        let hasSuspect = heldTasks(borrower.worker).contains { (tasks[$0]?.kills ?? 0) > 0 }
        for _ in 0..<min(16, work[job]!.queues[place].returned.count) {
            let id = work[job]!.queues[place].returned.removeFirst()
            guard let task = tasks[id], !task.isLent else { continue }
            if now < task.notBefore
                || task.failedOn.contains(borrower.worker)
                    && task.failedOn.count < borrower.able(work[job]!.queues[place].localPath)
                || hasSuspect && task.kills > 0
            {
                passed.append(id)
                continue
            }
            let token = newToken()
            tasks.change(id) {
                $0.hold = Hold(token: token, worker: borrower.worker, deadline: deadline, since: now)
                $0.second = nil
                $0.attempts += 1
            }
            nowLent(task)
            return lent(LeaseName(task: id, token: token), tasks[id]!, borrower.worker, deadline)
        }
        return nil
    }

    private mutating func cut(
        _ job: Int64, _ place: Int, _ borrower: Borrower, _ deadline: Double, _ now: Double
    ) -> Loan? {
        guard let id = work[job]!.queues[place].units.first, let unit = work[job]!.units[id] else { return nil }
        let start = unit.next == 0 ? 0 : unit.cuts[unit.next - 1]
        var next = unit.next + 1
        let wanted = growth(job, place, borrower.workers)
        while next < unit.cuts.count, next - unit.next < wanted, unit.cuts[next] - start <= work[job]!.blocksMost {
            next += 1
        }
        work[job]!.units.change(id) {
            $0.next = next
            $0.open += 1
        }
        work[job]!.uncut -= next - unit.next
        if next == unit.cuts.count { work[job]!.queues[place].units.removeFirst() }
        work[job]!.out += 1
        work[job]!.open += 1
        work[job]!.cutsOpen += next - unit.next
        work[job]!.queues[place].out += 1
        let lease = LeaseName(task: newTask(), token: newToken())
        tasks[lease.task] = Task(
            job: job, unit: id, queue: place, first: start, end: unit.cuts[next - 1], cuts: Int32(next - unit.next),
            hold: Hold(token: lease.token, worker: borrower.worker, deadline: deadline, since: now))
        return lent(lease, tasks[lease.task]!, borrower.worker, deadline)
    }

    /// Smallest chunks for the next task: as many as take the wanted time, fewer near the end.
    private func growth(_ job: Int64, _ place: Int, _ workers: Int) -> Int {
        guard let seconds = work[job]!.queues[place].seconds else { return 1 }
        let wanted = min(Double(settings.growthMost), settings.secondsWanted / max(1e-3, seconds))
        return max(1, min(Int(wanted), work[job]!.uncut / (4 * max(1, workers))))
    }

    private mutating func lent(_ lease: LeaseName, _ task: Task, _ worker: Int64, _ deadline: Double) -> Loan {
        hold(lease.task, worker)
        book(lease, deadline)
        work[task.job]!.lentOrder.append(lease)
        trim(task.job)
        return Loan(lease: lease, job: task.job, unit: task.unit, first: task.first, end: task.end, worker: worker)
    }

    /// Forgets the oldest entries of the order that are stale.
    mutating func trim(_ job: Int64) {
        guard work[job] != nil else { return }
        while let lease = work[job]!.lentOrder.first, tasks[lease.task]?.hold.token != lease.token {
            work[job]!.lentOrder.removeFirst()
        }
        // A straggler at the front must not keep all that came after it.
        guard work[job]!.lentOrder.count > 64 + 2 * work[job]!.open else { return }
        let live = work[job]!.lentOrder.filter { tasks[$0.task]?.hold.token == $0.token }
        work[job]!.lentOrder = Deque(live)
    }

    /// Nothing waits, and the task that was lent longest ago is late.
    package func hasStragglers(_ job: Int64, now: Double) -> Bool {
        guard let work = work[job], work.uncut == 0, work.waiting == 0, work.out > 0, let oldest = work.lentOrder.first,
            let task = tasks[oldest.task]
        else { return false }
        return now - task.hold.since > settings.secondAfter
    }

    /// Near a stage's end, lends what others have had for long a second time; the first receipt counts.
    package mutating func lendAgain(
        _ job: Int64, to borrower: Borrower, deadline: Double, now: Double, tasksMost: (String) -> Int
    ) -> [Loan] {
        var loans: [Loan] = []
        guard let entry = work[job], entry.uncut == 0, entry.waiting == 0, entry.out > 0 else { return [] }
        trim(job)
        for lease in work[job]!.lentOrder.prefix(64) where loans.count < borrower.room {
            guard let task = tasks[lease.task], task.hold.token == lease.token, task.second == nil, task.kills == 0,
                task.hold.worker != borrower.worker,
                !task.failedOn.contains(borrower.worker), tasksMost(entry.queues[task.queue].name) > 0
            else { continue }
            let usual = 3 * (entry.queues[task.queue].seconds ?? settings.secondAfter) * Double(task.cuts)
            guard now - task.hold.since > max(settings.secondAfter, usual) else { continue }
            if let path = entry.queues[task.queue].localPath, !mayRead(path, below: borrower.roots) { continue }
            let token = newToken()
            tasks.change(lease.task) {
                $0.second = Hold(token: token, worker: borrower.worker, deadline: deadline, since: now)
            }
            hold(lease.task, borrower.worker)
            let second = LeaseName(task: lease.task, token: token)
            book(second, deadline)
            loans.append(
                Loan(
                    lease: second, job: job, unit: task.unit, first: task.first, end: task.end, worker: borrower.worker)
            )
        }
        return loans
    }

    /// What must hold after every event; nil where it does.
    package func validate() -> String? {
        var tokens: OrderedSet<Int64> = []
        var open = IntegerMap<Int>()
        for id in tasks.sortedKeys {
            let task = tasks[id]!
            guard let work = work[task.job], let unit = work.units[task.unit] else {
                return "task \(id) is of no job's unit"
            }
            if task.first >= task.end || unit.cuts.last! < task.end {
                return "task \(id) has blocks \(task.first)..<\(task.end)"
            }
            for hold in [task.hold, task.second].compactMap({ $0 }) where hold.token >= 0 {
                if hold.token >= nextToken { return "task \(id) has token \(hold.token), which was never given" }
                if !tokens.append(hold.token).inserted { return "token \(hold.token) is that of two leases" }
                if let worker = hold.worker, worker != 0, held[worker]?.contains(id) != true {
                    return "worker \(worker) does not know that it holds task \(id)"
                }
            }
            if let second = task.second, second.worker == task.hold.worker, second.worker != 0 {
                return "task \(id) is lent twice to one worker"
            }
            open[task.job, default: 0] += 1
        }
        for (job, work) in work {
            if open[job] ?? 0 != work.open { return "job \(job) has \(open[job] ?? 0) tasks, not \(work.open)" }
            if work.out != work.queues.reduce(0, { $0 + $1.out }) {
                return "job \(job): \(work.out) tasks are out, by queues others"
            }
            if work.out + work.waiting != work.open {
                return "job \(job): \(work.out) tasks out and \(work.waiting) waiting are not \(work.open)"
            }
            var uncut = 0
            for id in work.units.sortedKeys { uncut += work.units[id]!.cuts.count - work.units[id]!.next }
            if uncut != work.uncut { return "job \(job): \(uncut) chunks are to be cut, not \(work.uncut)" }
        }
        for worker in held.sortedKeys where worker != 0 {
            for id in held[worker]! where tasks[id]?.isHeld(by: worker) != true {
                return "worker \(worker) holds task \(id), which does not know it"
            }
        }
        return nil
    }
}
