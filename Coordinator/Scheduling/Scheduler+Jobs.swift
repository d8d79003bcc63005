import Cluster
import OrderedCollections

extension Scheduler {
    /// Takes up a job: a new one, or one that the ledger has.
    mutating func adopt(_ restored: RestoredJob) {
        guard jobs[restored.id] == nil, !restored.stage.isFinal else { return }
        let job = JobMachine(restored)
        add(job)
        guard job.isWorking else { return plan(job.id, job.stage) }
        leases.begin(job.id, restored.units, maxBlocks: restored.maxBlocks)
        // Extended before any of them can run out: their holders may still hand in the receipts.
        for task in restored.tasks { leases.restore(task, deadline: now + settings.leaseSeconds, now: now) }
        log("job \(job.id) goes on in stage \(job.stage.rawValue)")
        assignToAll = true
        advance(job.id)
    }

    /// Has a stage's plan made.
    private mutating func plan(_ id: JobID, _ stage: JobStage) {
        withJob(id) { $0.plan(stage) }
        output.requests.append(.plan(job: id, stage))
    }

    mutating func planned(_ id: JobID, _ stage: JobStage, _ result: Result<StagePlan, PlanFailure>) {
        guard jobs[id]?.state == .planning(stage) else { return }
        switch result {
        case .failure(let failure): finish(id, .failed, error: failure.reason)
        case .success(let plan):
            let memory = plan.training.map { checkMemory($0) }
            if let failure = memory?.failure { return finish(id, .failed, error: failure) }
            guard withJob(id, { [now] in $0.begin(stage, plan, now: now) }) == true else { return }
            note(id, plan.notes + [memory?.note].compactMap { $0 })
            output.writes += plan.writes
            output.writes.append(.job(id, .stage(stage, error: nil)))
            log("job \(id): stage \(stage.rawValue)")
            if stage.hasTasks { leases.begin(id, plan.units, maxBlocks: plan.maxBlocks) }
            if stage.trains { membershipChanged = true }
            if stage == .publish { output.requests.append(.publish(job: id)) }
            assignToAll = true
            advance(id)
        }
    }

    /// Where nothing is left of a stage, the next begins.
    mutating func advance(_ id: JobID) {
        guard let job = jobs[id], job.isWorking, job.stage.hasTasks, leases.isComplete(id) else { return }
        leases.end(id)
        enter(id, job.stage.next(for: job.description))
    }

    /// The next stage: planned, or the end.
    mutating func enter(_ id: JobID, _ stage: JobStage) {
        if stage.isFinal { return finish(id, stage) }
        guard stage == .evaluate else { return plan(id, stage) }
        // The members go on to evaluate in the round they are in.
        withJob(id) { $0.evaluate() }
        output.writes.append(.job(id, .stage(stage, error: nil)))
    }

    mutating func finish(_ id: JobID, _ stage: JobStage, error: String? = nil) {
        guard let job = jobs[id] else { return }
        stopRounds(id)
        let reason = error.map { ": " + $0 } ?? ""
        output.writes.append(.job(id, .stage(stage, error: error)))
        output.writes.append(.story(.job(id), stage.rawValue + reason))
        log("job \(id) (\(job.description.name)): \(stage.rawValue)\(reason)")
        revoke(leases.holders(of: id))
        leases.end(id)
        remove(id)
        assignToAll = true
        membershipChanged = true
    }

    mutating func pause(_ id: JobID, _ paused: Bool) {
        guard let job = jobs[id], job.paused != paused else { return }
        output.writes.append(.job(id, .paused(paused)))
        output.writes.append(.story(.job(id), paused ? "paused" : "resumed"))
        if let action = withJob(id, { [now] in $0.pause(paused, now: now) }) ?? nil { perform(action, of: id) }
        assignToAll = true
        membershipChanged = true
    }

    /// Sentences for the user, each once.
    mutating func note(_ id: JobID, _ notes: [String]) {
        guard let new = withJob(id, { $0.add(notes) }), !new.isEmpty else { return }
        output.writes.append(.job(id, .notes(new)))
    }

    // MARK: Receipts

    mutating func receipt(_ receipt: Receipt, _ digest: String, _ unacceptable: String?, from id: WorkerID) {
        let worker = withWorker(id) { [now] worker in
            worker.messageCame(now: now)
            return worker
        }
        guard let worker else { return output.requests.append(.close(worker: id)) }
        if worker.takesWork { workersWithCapacity.append(id) }
        let lease = receipt.lease
        switch leases.check(lease) {
        case .reject(let reason): return reply(id, .rejected(lease, reason: reason))
        case .unknown: return output.requests.append(.recall(worker: id, lease, digest: digest))
        case .count: break
        }
        guard let extent = leases.extent(lease.task), let job = jobs[extent.job] else {
            return reply(id, .rejected(lease, reason: "its job has ended"))
        }
        let assignment = Assignment(lease: lease, extent: extent, worker: id)
        if let unacceptable {
            warn("a receipt of worker \(id) (\(worker.request.name)) is rejected: \(unacceptable)")
            reply(id, .rejected(lease, reason: unacceptable))
            return taskFailed(
                assignment, of: job, "worker \(id) handed in an invalid receipt: \(unacceptable)",
                isCertain: false, reason: unacceptable)
        }
        if case .failed(let reason, let transient) = receipt.result {
            let reason = TaskResult.reason(reason)
            warn("task \(lease.task) failed at worker \(id): \(reason)")
            reply(id, .acknowledged([lease]))
            return taskFailed(
                assignment, of: job, "failed at worker \(id): \(reason)", isCertain: !transient, reason: reason)
        }
        count(assignment, of: job, receipt, digest)
    }

    private mutating func count(_ assignment: Assignment, of job: JobMachine, _ receipt: Receipt, _ digest: String) {
        let (id, task) = (assignment.worker, assignment.lease.task)
        // Others could not do it, and this worker could: the failure was theirs.
        for other in leases.failures(task).workers where other != id {
            attributeFailure(to: other, "worker \(id) did task \(task), which it could not")
        }
        var seconds: Double?
        if case .counted(_, let worked) = receipt.result { seconds = worked }
        if let twin = leases.twin(of: assignment.lease) { revoke([(twin.worker, [twin.lease])]) }
        let (complete, straggler) = leases.settle(assignment.lease, seconds: seconds)
        if let straggler, straggler != id { straggled(straggler) }
        withWorker(id) { $0.succeeded() }
        var counted = CountedReceipt(
            assignment: assignment, digest: digest, result: receipt.result, specs: receipt.specs, completes: complete)
        if case .pattern(let index) = assignment.unit { counted.dataset = job.patterns[index].dataset }
        output.writes.append(.task(.count(counted)))
        reply(id, .acknowledged([receipt.lease]))
        if case .listed(let files, let repeated) = receipt.result, case .pattern(let index) = assignment.unit {
            guard listed(files.count, repeated: repeated ?? 0, by: job.patterns[index].pattern, of: job.id) else {
                return
            }
        }
        if complete {
            withJob(job.id) { $0.unitIsDone() }
            advance(job.id)
        }
    }

    /// Counts the files that a pattern gave.
    /// - Returns: false where they are too many and the job has failed.
    private mutating func listed(_ files: Int, repeated: Int, by pattern: String, of id: JobID) -> Bool {
        if repeated > 0 {
            note(id, ["\(pattern) names files more than once (\(repeated) times); each is read once"])
        }
        guard let all = withJob(id, { $0.listed(files) }), all > ListingLimits.jobFiles else { return true }
        finish(
            id, .failed,
            error: "the job names too many files: expected at most \(ListingLimits.jobFiles), found more than \(all)")
        return false
    }

    /// Has workers stop what nobody waits for any more. The message may be lost: heartbeats report what is held.
    private mutating func revoke(_ held: [(worker: WorkerID, leases: [LeaseName])]) {
        for (worker, leases) in held { reply(worker, .revoked(leases)) }
    }

    /// A task was handed in undone: it is assigned again, until enough workers agree that it cannot be done.
    /// - Parameter isCertain: the worker reports that the reason lies in the file.
    private mutating func taskFailed(
        _ assignment: Assignment, of job: JobMachine, _ text: String, isCertain: Bool, reason: String
    ) {
        let task = assignment.lease.task
        leases.handedIn(assignment.lease, by: assignment.worker, failed: true, now: now)
        output.writes.append(.task(.retire(assignment.lease)))
        output.writes.append(.story(.task(task), text))
        assignToAll = true
        let failures = leases.failures(task)
        let able = able(job, leases.localPath(task))
        // What one worker finds wrong with a file a second one must find too, where there is one.
        if isCertain, failures.workers.count >= min(2, max(1, able)) { return quarantine(task, reason) }
        guard failures.workers.count >= min(3, max(1, able)), failures.attempts >= 3,
            now - (failures.since ?? now) >= settings.retrySeconds
        else { return }
        quarantine(task, reason)
    }

    /// A task cannot be done: its file is left out, or its job fails, as the job description chooses.
    mutating func quarantine(_ task: TaskID, _ reason: String) {
        guard let extent = leases.extent(task), let job = jobs[extent.job] else { return }
        output.writes.append(.story(.task(task), "quarantined: \(reason)"))
        switch extent.unit {
        case .pattern: finish(job.id, .failed, error: reason)
        case .file(let file) where job.description.onError == .fail:
            output.writes.append(.file(file, .unreadable(reason: reason)))
            finish(job.id, .failed, error: reason)
        case .file(let file):
            revoke(leases.holders(of: job.id, unit: extent.unit))
            let tasks = leases.remove(extent.unit, of: job.id)
            output.writes.append(.file(file, .skip(reason: reason, tasks: tasks)))
            note(job.id, ["skipped: \(reason)"])
            withJob(job.id) { $0.unitIsDone() }
            advance(job.id)
        }
    }

    /// Others did what the worker could not.
    private mutating func attributeFailure(to id: WorkerID, _ text: String) {
        let failures = withWorker(id) { worker in
            worker.failures += 1
            return worker.failures
        }
        guard let failures, failures >= 3 else { return }
        quarantine(id, "\(failures) times in a row others did what it could not; the last: \(text)")
    }

    /// A speculative assignment was faster than the worker.
    private mutating func straggled(_ id: WorkerID) {
        let count = withWorker(id) { worker in
            worker.stragglings += 1
            return worker.stragglings
        }
        guard let count, count >= 5 else { return }
        quarantine(id, "it was too slow: \(count) times in a row a second worker finished first")
    }

    /// Never the last worker: that would only stop the work.
    private mutating func quarantine(_ id: WorkerID, _ reason: String) {
        guard let worker = workers[id], worker.quarantined == nil,
            workers.values.contains(where: { $0.id != id && $0.takesWork })
        else { return }
        withWorker(id) { $0.quarantined = reason }
        workersWithCapacity.remove(id)
        warn("worker \(id) (\(worker.request.name)) is quarantined: \(reason)")
        output.writes.append(.story(.worker(id), "quarantined: \(reason)"))
        membershipChanged = true
    }
}
