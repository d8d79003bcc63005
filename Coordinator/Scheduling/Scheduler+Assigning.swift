import Cluster
import OrderedCollections

extension Scheduler {
    /// Gives the workers that have capacity what can be assigned.
    mutating func assign() {
        if assignToAll { for worker in workers.values where worker.takesWork { workersWithCapacity.append(worker.id) } }
        assignToAll = false
        guard jobs.values.contains(where: { canAssign($0) }) else {
            return workersWithCapacity.removeAll(keepingCapacity: true)
        }
        while let id = workersWithCapacity.first {
            guard jobs.values.contains(where: { canAssign($0) }) else { break }
            workersWithCapacity.removeFirst()
            assign(to: id)
        }
        workersWithCapacity.removeAll(keepingCapacity: true)
    }

    /// Whether work is left, or such as may be assigned to a second worker.
    private func canAssign(_ job: JobMachine) -> Bool {
        job.assigns && (leases.hasWork(job.id) || leases.hasStragglers(job.id, now: now))
            && (missingCredential == nil || job.description.credentials == nil)
    }

    /// One worker takes what it has capacity for: of the highest priority, of the job that has the least out, then of
    /// the oldest.
    private mutating func assign(to id: WorkerID) {
        guard let worker = workers[id], worker.takesWork else { return }
        var capacity = worker.capacity - leases.heldCount(id)
        guard capacity > 0 else { return }
        var candidates = jobs.values.filter { canAssign($0) && mayWork(id, on: $0) }
        while capacity > 0, let index = candidates.indices.min(by: { key(candidates[$0]) < key(candidates[$1]) }) {
            // With others beside it a job takes one at a time, so that shares stay equal.
            let count = assign(candidates[index], to: worker, capacity: candidates.count > 1 ? 1 : capacity)
            capacity -= count
            if count == 0 { candidates.remove(at: index) }
        }
    }

    /// - Returns: how many tasks of the job the worker got.
    private mutating func assign(_ job: JobMachine, to worker: WorkerEntry, capacity: Int) -> Int {
        // Of the workers alone: a copy of the scheduler would have its tables copied at their next change.
        let (workers, allowed) = (workers, limited(job))
        var candidate = LeaseTable.Candidate(
            worker: worker.id, capacity: capacity, roots: worker.request.localRoots, workers: workers.count
        ) {
            Self.able(allowed ?? workers.values.elements, $0)
        }
        let deadline = now + settings.leaseSeconds
        let sites = sites
        var assignments = leases.assign(job.id, to: candidate, deadline: deadline, now: now) {
            Self.maxTasks($0, sites)
        }
        for assignment in assignments {
            output.writes.append(
                leases.failures(assignment.lease.task).attempts > 1
                    ? .task(.reassign(assignment)) : .task(.assign(assignment, stage: job.stage)))
        }
        if assignments.isEmpty {
            candidate.capacity = 1
            assignments = leases.speculate(job.id, to: candidate, deadline: deadline, now: now) {
                Self.maxTasks($0, sites)
            }
            for assignment in assignments {
                guard let first = leases.firstToken(assignment.lease.task) else { continue }
                output.writes.append(.task(.speculate(assignment, beside: first)))
                log("task \(assignment.lease.task) is assigned to a second worker")
            }
        }
        for assignment in assignments { output.replies.append((worker.id, .assign(assignment))) }
        return assignments.count
    }

    private func key(_ job: JobMachine) -> (Int, Int, JobID) { (-job.description.priority, leases.out(job.id), job.id) }

    /// Where a job limits its workers, those: the first of those that can do some of it.
    private func limited(_ job: JobMachine) -> [WorkerEntry]? {
        job.description.maxWorkers.map { most in
            Array(
                workers.values.lazy.filter { $0.takesWork && leases.offers(job.id, roots: $0.request.localRoots) }
                    .prefix(most))
        }
    }

    private func mayWork(_ worker: WorkerID, on job: JobMachine) -> Bool {
        limited(job)?.contains { $0.id == worker } ?? true
    }

    /// How many workers may and can do a job's work at a path.
    func able(_ job: JobMachine, _ localPath: String?) -> Int {
        Self.able(limited(job) ?? workers.values.elements, localPath)
    }

    private static func able(_ workers: [WorkerEntry], _ localPath: String?) -> Int {
        workers.count { worker in
            worker.takesWork && localPath.map { mayRead($0, below: worker.request.localRoots) } ?? true
        }
    }

    /// While any of its sites will do, a queue's tasks are assigned.
    private static func maxTasks(_ queue: [String], _ sites: SitePolicy) -> Int {
        queue.map(sites.maxTasks).max() ?? .max
    }
}
