package import Cluster
import OrderedCollections

extension Scheduler {
    /// The workers that may train a job: those that take work, are not silent, can read all its files, have the memory
    /// for it, and are not left out of its rounds, in their order of joining.
    private func eligible(_ job: JobMachine) -> [WorkerID] {
        guard let facts = job.facts else { return [] }
        let able = readers(facts).filter { !$0.isSilent && $0.isLargeEnough(for: facts) }
        return job.admitted(able.map(\.id), now: now)
    }

    /// Seconds without a message after which a worker is left out of rounds until its next message. Heartbeats come
    /// every second, from a thread that no computation and no sum holds up.
    package static let silenceInRounds = 4.0

    /// Marks the workers that are silent, which ends the rounds that they are in.
    mutating func markSilent() {
        for worker in workers.values where !worker.isSilent && now - worker.lastMessage > Self.silenceInRounds {
            withWorker(worker.id) { $0.isSilent = true }
            guard let job = jobs.values.first(where: { $0.membership?.members.contains(worker.id) == true }) else {
                continue
            }
            let text = "\(worker.request.name) was silent for \(Int(now - worker.lastMessage)) s, which ends its round"
            warn("job \(job.id): \(text)")
            output.writes.append(.story(.job(job.id), text))
        }
    }

    /// Leaves out of the next rounds the workers with which rounds fail.
    private mutating func decideOnMembers() {
        for id in jobs.values.filter(\.trains).map(\.id) {
            guard let decision = withJob(id, { [now] in $0.decideOnMembers(now: now) }) ?? nil else { continue }
            let name = workers[decision.worker]?.request.name ?? "?"
            let text = "left out of training rounds for \(Int(decision.seconds)) s: \(decision.reason)"
            warn("job \(id): worker \(decision.worker) (\(name)) is \(text)")
            output.writes.append(.story(.job(id), "\(name) is \(text)"))
            output.writes.append(.story(.worker(decision.worker), text))
        }
    }

    /// The workers that take work and can read all files of a training.
    private func readers(_ facts: TrainingFacts) -> [WorkerEntry] {
        workers.values.filter { worker in
            worker.takesWork && facts.localPaths.allSatisfy { mayRead($0, below: worker.request.localRoots) }
        }
    }

    /// Compares what a training takes with the memory of the workers that are joined when it begins.
    /// - Returns: why it cannot begin, where all of them are too small; and a note that names those that are.
    func checkMemory(_ facts: TrainingFacts) -> (failure: String?, note: String?) {
        guard let memory = facts.memory else { return (nil, nil) }
        let readers = readers(facts)
        let small = readers.filter { !$0.isLargeEnough(for: facts) }
        guard let largest = small.max(by: { $0.request.memoryBytes < $1.request.memoryBytes }) else {
            return (nil, nil)
        }
        let need = TrainingMemory.text(memory.bytes(threads: largest.request.threads))
        let names = small.prefix(5).map { worker in
            "\(worker.request.name) has \(TrainingMemory.text(Double(worker.request.memoryBytes)))"
        }.joined(separator: ", ")
        let text = "the training takes about \(need) of a worker's memory"
        guard small.count == readers.count else { return (nil, "\(text); these are too small for it: \(names)") }
        return (
            "\(text), and no worker has as much: \(names). Make the layers, the batch or the number of features "
                + "smaller, or start workers with more memory or fewer threads, and retry the job", nil
        )
    }

    /// Deals the workers to the jobs that train.
    mutating func shareTrainers() {
        membershipChanged = false
        for (id, available) in trainers() { offer(available, to: id) }
    }

    private func trainers() -> [(id: JobID, workers: [WorkerID])] {
        let claims = jobs.values.filter(\.trains).map { job in
            LaneAssignment.Claim(
                job: job.id, priority: job.description.priority, maxWorkers: job.maxTrainers,
                eligible: eligible(job), members: job.membership?.members ?? [])
        }
        return LaneAssignment.share(claims).map { ($0.id, usable($0.workers)) }
    }

    /// One that joins no rounds trains alone, and only where there is nobody else.
    private func usable(_ ids: [WorkerID]) -> [WorkerID] {
        let joining = ids.filter { workers[$0]?.request.joinsRounds == true }
        return joining.isEmpty ? Array(ids.prefix(1)) : joining
    }

    /// Whether somebody could train the job.
    package func hasTrainers(_ id: JobID) -> Bool { trainers().contains { $0.id == id && !$0.workers.isEmpty } }

    /// Fails the trainings of which members die again and again.
    private mutating func checkDeaths() {
        // As long as a silent worker is waited for.
        let timeout = max(settings.leaseSeconds, 10)
        for id in jobs.values.filter(\.trains).map(\.id) {
            let action = withJob(id) { [now, leases, workers] in
                $0.checkDeaths(now: now, timeout: timeout, deaths: leases.recentDeaths) { Self.isBack($0, workers) }
            }
            if let action = action ?? nil { perform(action, of: id) }
        }
    }

    mutating func tickTrainings() {
        guard jobs.values.contains(where: \.trains) else { return }
        decideOnMembers()
        checkDeaths()
        for (id, available) in trainers() {
            offer(available, to: id)
            let action = withJob(id) { [now, nextRound] in $0.tick(now: now, available: available, next: nextRound) }
            if let action = action ?? nil { perform(action, of: id) }
        }
    }

    private mutating func offer(_ available: [WorkerID], to id: JobID) {
        let action = withJob(id) { [now] in $0.available(available, now: now) }
        if let action = action ?? nil { perform(action, of: id) }
    }

    mutating func stopRounds(_ id: JobID) {
        if let action = withJob(id, { $0.endRounds() }) ?? nil { perform(action, of: id) }
    }

    mutating func perform(_ action: RoundKeeper.Action, of id: JobID) {
        switch action {
        case .stop(let round, let members):
            for member in members { reply(member, .stopRound(round: round)) }
        case .giveUp(let reason): finish(id, .failed, error: reason)
        case .start(let membership):
            nextRound = membership.round.next
            let names = membership.members.map { workers[$0]?.request.name ?? "?" }.joined(separator: ", ")
            log("job \(id): training round \(membership.round) with \(names)")
            output.writes.append(.job(id, .round(membership.round)))
            for request in membership.members.compactMap({ workers[$0]?.request }) {
                output.writes.append(
                    .job(
                        id,
                        .member(round: membership.round, name: request.name, instructionSet: request.instructionSet)))
            }
            output.writes.append(.story(.job(id), "training round \(membership.round) with \(names)"))
            for member in membership.members { order(id, to: member) }
        }
    }

    /// Sends a member the order of its round.
    mutating func order(_ id: JobID, to member: WorkerID) {
        guard let job = jobs[id], let membership = job.membership, let facts = job.facts,
            let rank = membership.members.firstIndex(of: member)
        else { return }
        reply(
            member,
            .startRound(
                RoundOrder(
                    job: id, round: membership.round, rank: rank,
                    members: membership.members.map { workers[$0]?.request.name ?? "?" }, owners: membership.owners,
                    dataPlan: facts.dataPlan, trainingPlan: facts.trainingPlan, checkpoint: job.checkpoint?.digest,
                    checkpointStep: job.checkpoint?.step ?? 0, epochs: job.epochs)))
    }

    mutating func training(_ report: TrainingReport, round: RoundNumber, from worker: WorkerID) {
        if case .failed(let reason, false, _, let lost) = report {
            // The round may be over since another member's report.
            let reason = "\(workers[worker]?.request.name ?? "?"): \(reason.prefix(500))"
            for id in jobs.keys { withJob(id) { $0.reported(worker, round: round, lost: lost, reason) } }
        }
        guard
            let job = jobs.values.first(where: {
                $0.membership?.round == round && $0.membership?.members.contains(worker) == true
            }), job.stage.trains
        else { return }
        let id = job.id
        switch report {
        case .progress(let step, let epoch, let steps, let rate, let loss):
            withJob(id) {
                $0.report(.init(step: step, epoch: epoch, stepsPerEpoch: steps, stepsPerSecond: rate, loss: loss))
            }
        case .checkpoint(let digest, let step, let metrics):
            keep(id, StoredCheckpoint(digest: digest, step: step, round: round, metrics: metrics))
            if job.isLastEpoch(metrics), job.stage == .train { enter(id, .evaluate) }
        case .finished(let digest, let step, let test, let truncated, let evaluation):
            keep(id, StoredCheckpoint(digest: digest, step: step, round: round))
            output.writes.append(.job(id, .test(test)))
            if let evaluation { output.writes.append(.job(id, .evaluation(evaluation))) }
            if truncated > 0 { note(id, ["\(truncated) values beyond the padding were left out of the features"]) }
            if job.stage == .train { enter(id, .evaluate) }
            stopRounds(id)
            output.requests.append(.bundle(job: id))
        case .failed(let reason, let fatal, let input, _):
            roundFailed(job, round, String(reason.prefix(2000)), fatal: fatal, input: input, worker)
        }
    }

    private mutating func roundFailed(
        _ job: JobMachine, _ round: RoundNumber, _ reason: String, fatal: Bool, input: Int?, _ worker: WorkerID
    ) {
        warn("job \(job.id): round \(round): \(workers[worker]?.request.name ?? "?"): \(reason)")
        if let input, let files = job.facts?.files, files.indices.contains(input), let file = files[input] {
            output.writes.append(.file(file, .unreadable(reason: reason)))
        }
        if fatal { return finish(job.id, .failed, error: reason) }
        let action = withJob(job.id) { [now] in $0.roundFailed(reason, now: now) }
        if let action = action ?? nil { perform(action, of: job.id) }
    }

    private mutating func keep(_ id: JobID, _ checkpoint: StoredCheckpoint) {
        // What is old by now is recorded too: its metrics count all the same.
        output.writes.append(.job(id, .checkpoint(checkpoint)))
        if let old = withJob(id, { $0.keep(checkpoint) }) ?? nil { output.requests.append(.removeBlob(old)) }
    }

    mutating func bundled(_ id: JobID, _ result: Result<String, PlanFailure>) {
        guard let job = jobs[id], job.stage == .evaluate else { return }
        switch result {
        case .failure(let failure): finish(id, .failed, error: "the model cannot be bundled: \(failure.reason)")
        case .success(let digest):
            output.writes.append(.job(id, .bundle(digest: digest)))
            enter(id, JobStage.evaluate.next(for: job.description))
        }
    }
}
