import Cluster

extension Scheduler {
    /// Takes up a job: a new one, or one that the ledger has.
    mutating func adopt(_ restored: RestoredJob) {
        guard jobs[restored.id] == nil, !restored.stage.isFinal else { return }
        let job = JobMachine(restored)
        jobs[restored.id] = job
        guard job.isWorking else { return ask(restored.id, job.stage) }
        leases.begin(restored.id, restored.units, blocksMost: restored.blocksMost)
        // Extended before any of them can run out: their holders may still hand in the receipts.
        for task in restored.tasks {
            leases.restore(task, job: restored.id, deadline: now + settings.leaseSeconds, now: now)
        }
        say("job \(job.id) goes on in stage \(job.stage.rawValue)")
        lendToAll = true
        advance(restored.id)
    }

    /// Has the stage's plan made.
    private mutating func ask(_ job: Int64, _ stage: JobStage) {
        jobs[job]!.plan(stage)
        output.requests.append(.plan(job: job, stage))
    }

    mutating func planned(_ id: Int64, _ stage: JobStage, _ result: Result<StagePlan, PlanFailure>) {
        guard jobs[id]?.state == .planning(stage) else { return }
        switch result {
        case .failure(let failure): return finish(id, .failed, error: failure.reason)
        case .success(let plan):
            guard jobs[id]!.begin(stage) else { return }
            note(id, plan.notes)
            output.writes += plan.writes
            output.writes.append(.stage(job: id, stage, error: nil))
            say("job \(id): stage \(stage.rawValue)")
            jobs[id]!.unitsAll = plan.units.count
            jobs[id]!.unitsDone = 0
            if stage.hasTasks { leases.begin(id, plan.units, blocksMost: plan.blocksMost) }
            if stage.trains {
                jobs[id]!.facts = plan.training
                if !jobs[id]!.paused { jobs[id]!.rounds.begin(now: now) }
                membershipChanged = true
            }
            if stage == .publish { output.requests.append(.publish(job: id)) }
            lendToAll = true
            advance(id)
        }
    }

    /// Where nothing is left of a stage, the next begins.
    mutating func advance(_ id: Int64) {
        guard let job = jobs[id], job.isWorking, job.stage.hasTasks, leases.isComplete(id) else { return }
        leases.end(id)
        enter(id, job.stage.next(for: job.description))
    }

    /// The next stage: planned, or the end.
    mutating func enter(_ id: Int64, _ stage: JobStage) {
        if stage.isFinal { return finish(id, stage) }
        // The members go on to evaluate in the round they are in.
        if stage == .evaluate {
            jobs[id]!.plan(stage)
            _ = jobs[id]!.begin(stage)
            return output.writes.append(.stage(job: id, stage, error: nil))
        }
        ask(id, stage)
    }

    mutating func finish(_ id: Int64, _ stage: JobStage, error: String? = nil) {
        guard let job = jobs[id] else { return }
        stopRounds(id)
        output.writes.append(.stage(job: id, stage, error: error))
        output.writes.append(.story(.job, id, stage.rawValue + (error.map { ": " + $0 } ?? "")))
        say("job \(id) (\(job.description.name)): \(stage.rawValue)\(error.map { ": " + $0 } ?? "")")
        leases.end(id)
        jobs[id] = nil
        lendToAll = true
        membershipChanged = true
    }

    mutating func pause(_ id: Int64, _ paused: Bool) {
        guard jobs[id] != nil, jobs[id]!.paused != paused else { return }
        jobs[id]!.paused = paused
        output.writes.append(.paused(job: id, paused))
        output.writes.append(.story(.job, id, paused ? "paused" : "resumed"))
        if paused {
            stopRounds(id)
        } else if jobs[id]!.isWorking, jobs[id]!.stage.trains {
            jobs[id]!.rounds.begin(now: now)
        }
        lendToAll = true
        membershipChanged = true
    }

    /// Sentences for the user, each once.
    mutating func note(_ id: Int64, _ notes: [String]) {
        let new = notes.filter { !jobs[id]!.notes.contains($0) }
        guard !new.isEmpty else { return }
        jobs[id]!.notes += new
        output.writes.append(.notes(job: id, new))
    }

    // MARK: Receipts

    mutating func receipt(_ receipt: Receipt, _ digest: String, _ unacceptable: String?, from id: Int64) {
        guard let place = workers.index(forKey: id) else { return output.requests.append(.close(worker: id)) }
        workers.values[place].heard = now
        if workers.values[place].takesWork { roomy.append(id) }
        let lease = receipt.lease
        switch leases.judge(lease) {
        case .refuse(let reason): return reply(id, .refused(lease, reason: reason))
        case .unknown: return output.requests.append(.recall(worker: id, lease, digest: digest))
        case .count: break
        }
        guard let loan = leases.loan(lease, worker: id), jobs[loan.job] != nil else {
            return reply(id, .refused(lease, reason: "its job has ended"))
        }
        if let unacceptable {
            warn("a receipt of worker \(id) (\(workers[id]!.hello.name)) is refused: \(unacceptable)")
            reply(id, .refused(lease, reason: unacceptable))
            return setback(
                loan, "worker \(id) handed in what cannot be right: \(unacceptable)", believe: false,
                reason: unacceptable, from: id)
        }
        if case .failed(let reason, let transient) = receipt.result {
            let reason = String(reason.prefix(2000))
            warn("task \(lease.task) failed at worker \(id): \(reason)")
            reply(id, .acknowledged([lease]))
            return setback(loan, "failed at worker \(id): \(reason)", believe: !transient, reason: reason, from: id)
        }
        count(loan, receipt, digest, at: place)
    }

    private mutating func count(_ loan: Loan, _ receipt: Receipt, _ digest: String, at place: Int) {
        let id = workers.keys[place]
        // Others could not do it, and this worker could: they are to blame.
        for other in leases.failures(loan.lease.task).workers where other != id {
            blame(other, "worker \(id) did task \(loan.lease.task), which it could not")
        }
        var seconds: Double?
        if case .counted(_, let worked) = receipt.result { seconds = worked }
        let (complete, beaten) = leases.settle(loan.lease, seconds: seconds)
        if let beaten, beaten != id { outrun(beaten) }
        workers.values[place].succeeded()
        var counted = CountedReceipt(
            loan: loan, digest: digest, result: receipt.result, specs: receipt.specs, completes: complete)
        if case .listed = receipt.result { counted.dataset = jobs[loan.job]!.patterns[Int(loan.unit)].dataset }
        output.writes.append(.count(counted))
        reply(id, .acknowledged([receipt.lease]))
        if complete {
            jobs[loan.job]!.unitsDone += 1
            advance(loan.job)
        }
    }

    /// A task was handed in undone: it is lent anew, until enough workers agree that it cannot be done.
    /// - Parameter believe: the reason lies in the file, says the worker.
    private mutating func setback(_ loan: Loan, _ text: String, believe: Bool, reason: String, from id: Int64) {
        leases.handedIn(loan.lease, by: id, failed: true, now: now)
        output.writes.append(.retire(loan.lease))
        output.writes.append(.story(.chunk, loan.lease.task, text))
        lendToAll = true
        let failures = leases.failures(loan.lease.task)
        let able = able(loan.job, leases.localPath(loan.lease.task))
        // What one worker finds wrong with a file a second one must find too, where there is one.
        if believe, failures.workers.count >= min(2, max(1, able)) { return quarantine(loan.lease.task, reason) }
        guard failures.workers.count >= min(3, max(1, able)), failures.attempts >= 3,
            now - (failures.since ?? now) >= settings.patienceSeconds
        else { return }
        quarantine(loan.lease.task, reason)
    }

    /// A task cannot be done: its file is left out, or its job fails, as the job says.
    mutating func quarantine(_ task: Int64, _ reason: String) {
        guard let loan = leases.loan(LeaseName(task: task, token: 0), worker: 0), let job = jobs[loan.job] else {
            return
        }
        output.writes.append(.story(.chunk, task, "quarantined: \(reason)"))
        guard job.stage != .list else { return finish(loan.job, .failed, error: reason) }
        guard job.description.onError == .skip else {
            output.writes.append(.unreadable(file: loan.unit, reason: reason))
            return finish(loan.job, .failed, error: reason)
        }
        output.writes.append(
            .skip(file: loan.unit, reason: reason, tasks: leases.remove(unit: loan.unit, of: loan.job)))
        note(loan.job, ["skipped: \(reason)"])
        jobs[loan.job]!.unitsDone += 1
        advance(loan.job)
    }

    /// Others did what it could not.
    private mutating func blame(_ id: Int64, _ text: String) {
        guard workers[id] != nil else { return }
        workers[id]!.wrong += 1
        if workers[id]!.wrong >= 3 {
            setAside(id, "\(workers[id]!.wrong) times in a row others did what it could not; the last: \(text)")
        }
    }

    private mutating func outrun(_ id: Int64) {
        guard workers[id] != nil else { return }
        workers[id]!.slow += 1
        if workers[id]!.slow >= 5 {
            setAside(id, "it was too slow: \(workers[id]!.slow) times in a row a second worker finished first")
        }
    }

    /// Never the last one: that would only stop the work.
    private mutating func setAside(_ id: Int64, _ reason: String) {
        guard workers[id]!.setAside == nil, workers.values.contains(where: { $0.id != id && $0.takesWork }) else {
            return
        }
        workers[id]!.setAside = reason
        roomy.remove(id)
        warn("worker \(id) (\(workers[id]!.hello.name)) is set aside: \(reason)")
        output.writes.append(.story(.worker, id, "set aside: \(reason)"))
        membershipChanged = true
    }
}
