import Cluster

extension Scheduler {
    /// The workers that may train a job, those that can read all its files and use its kernels, in their order of joining; those that would
    /// have to start anew come last.
    private func eligible(_ facts: TrainingFacts, _ kernels: String?) -> [Int64] {
        let able = workers.values.filter { worker in
            worker.takesWork && facts.localPaths.allSatisfy { mayRead($0, below: worker.hello.localRoots) }
                && (kernels.map { KernelTypes.runs($0, on: worker.hello.ownKernels) || $0 == worker.hello.kernels }
                    ?? true)
        }
        return
            (able.filter { kernels == nil || $0.hello.kernels == kernels }
            + able.filter { kernels != nil && $0.hello.kernels != kernels }).map(\.id)
    }

    /// Deals the workers to the jobs that train.
    mutating func shareTrainers() {
        membershipChanged = false
        changeKernels(shares())
        for (id, available) in trainers() {
            if let action = jobs[id]!.rounds.available(available, now: now) { perform(action, of: id) }
        }
    }

    private func trainers() -> [(id: Int64, workers: [Int64])] {
        shares().map { ($0.id, usable($0.workers, for: $0.id)) }
    }

    /// Who may train what, whatever their kernels.
    private func shares() -> [(id: Int64, workers: [Int64])] {
        let training = jobs.values.filter { $0.isWorking && $0.stage.trains && !$0.paused }
        return LaneAssignment.share(
            training.map { job in
                let able = job.facts.map { eligible($0, job.kernels) } ?? []
                return (
                    id: job.id, priority: job.description.priority,
                    most: min(job.rounds.lanes, job.description.workersMost ?? .max), eligible: able,
                    members: job.rounds.membership?.members ?? []
                )
            })
    }

    /// One that joins no rounds trains alone, and only where there is nobody else. All have the job's kernels.
    private func usable(_ ids: [Int64], for job: Int64) -> [Int64] {
        let kernels = kernels(ids, for: job)
        let equal = ids.filter { workers[$0]!.hello.kernels == kernels }
        let joining = equal.filter { workers[$0]!.hello.joinsRounds }
        return joining.isEmpty ? Array(equal.prefix(1)) : joining
    }

    /// The job's, or where that is not settled yet, the least of those that would train it.
    private func kernels(_ ids: [Int64], for job: Int64) -> String? {
        if let settled = jobs[job]?.kernels { return settled }
        let joining = ids.filter { workers[$0]!.hello.joinsRounds }
        return KernelTypes.least((joining.isEmpty ? ids : joining).map { workers[$0]!.hello.kernels })
    }

    /// Workers that would train a job with other kernels, and can use the job's, start anew with those.
    private mutating func changeKernels(_ shares: [(id: Int64, workers: [Int64])]) {
        for (job, ids) in shares {
            guard let kernels = jobs[job]?.kernels else { continue }
            for id in ids
            where workers[id]!.hello.kernels != kernels && KernelTypes.runs(kernels, on: workers[id]!.hello.ownKernels)
            {
                workers[id]!.changing = kernels
                roomy.remove(id)
                reply(id, .useKernels(kernels))
                say("worker \(id) (\(workers[id]!.hello.name)) starts anew with the kernels \(kernels) for job \(job)")
                output.writes.append(.story(.worker, id, "starts anew with the kernels \(kernels) for job \(job)"))
            }
        }
    }

    /// Somebody could train the job.
    package func hasTrainers(_ id: Int64) -> Bool { trainers().contains { $0.id == id && !$0.workers.isEmpty } }

    mutating func tickTrainings() {
        guard jobs.values.contains(where: { $0.isWorking && $0.stage.trains && !$0.paused }) else { return }
        for (id, available) in trainers() { tickTraining(id, available) }
    }

    private mutating func tickTraining(_ id: Int64, _ available: [Int64]) {
        if let action = jobs[id]?.rounds.available(available, now: now) { perform(action, of: id) }
        if let action = jobs[id]?.rounds.tick(now: now, available: available, next: lastRound + 1) {
            perform(action, of: id)
        }
    }

    mutating func stopRounds(_ id: Int64) {
        if let action = jobs[id]!.rounds.end() { perform(action, of: id) }
    }

    private mutating func perform(_ action: RoundKeeper.Action, of id: Int64) {
        switch action {
        case .stop(let round, let members):
            for member in members { reply(member, .stopRound(round: round)) }
        case .giveUp(let reason): finish(id, .failed, error: reason)
        case .start(let membership):
            lastRound = membership.round
            let names = membership.members.map { workers[$0]!.hello.name }
            say("job \(id): training round \(membership.round) with \(names.joined(separator: ", "))")
            output.writes.append(.round(job: id, membership.round))
            settleKernels(id, membership)
            output.writes.append(
                .story(.job, id, "training round \(membership.round) with \(names.joined(separator: ", "))"))
            for member in membership.members { order(id, to: member) }
        }
    }

    /// The first round settles what all later ones use; others that are to train are told.
    private mutating func settleKernels(_ id: Int64, _ membership: RoundKeeper.Membership) {
        let kernels = workers[membership.members[0]]!.hello.kernels
        output.writes.append(.kernels(job: id, kernels))
        jobs[id]!.kernels = kernels
        for member in membership.members {
            let hello = workers[member]!.hello
            output.writes.append(
                .member(
                    job: id, round: membership.round, name: hello.name, kernels: hello.kernels,
                    ownKernels: hello.ownKernels))
        }
        membershipChanged = true
    }

    /// Tells a member of its round.
    mutating func order(_ id: Int64, to member: Int64) {
        guard let job = jobs[id], let membership = job.rounds.membership, let facts = job.facts,
            let rank = membership.members.firstIndex(of: member)
        else { return }
        reply(
            member,
            .startRound(
                RoundOrder(
                    job: id, round: membership.round, rank: rank,
                    members: membership.members.map { workers[$0]?.hello.name ?? "?" }, owners: membership.owners,
                    dataPlan: facts.dataPlan, trainingPlan: facts.trainingPlan, checkpoint: job.checkpoint?.digest,
                    checkpointStep: job.checkpoint?.step ?? 0, epochs: job.epochs,
                    kernels: job.kernels ?? "")))
    }

    mutating func training(_ report: TrainingReport, round: Int64, from worker: Int64) {
        guard
            let job = jobs.values.first(where: {
                $0.rounds.membership?.round == round && $0.rounds.membership!.members.contains(worker)
            }), job.stage.trains
        else { return }
        let id = job.id
        switch report {
        case .progress(let step, let epoch, let steps, let rate, let loss):
            jobs[id]!.progress = .init(step: step, epoch: epoch, stepsPerEpoch: steps, stepsPerSecond: rate, loss: loss)
        case .checkpoint(let digest, let step, let metrics):
            keep(id, StoredCheckpoint(digest: digest, step: step, round: round, metrics: metrics))
            if metrics.contains(where: { $0.epoch == job.description.train?.epochs }), job.stage == .train {
                enter(id, .evaluate)
            }
        case .finished(let digest, let step, let test, let truncated):
            keep(id, StoredCheckpoint(digest: digest, step: step, round: round))
            output.writes.append(.test(job: id, test))
            if truncated > 0 { note(id, ["\(truncated) values beyond the padding were left out of the features"]) }
            if job.stage == .train { enter(id, .evaluate) }
            stopRounds(id)
            output.requests.append(.bundle(job: id))
        case .failed(let reason, let fatal, let input):
            let reason = String(reason.prefix(2000))
            warn("job \(id): round \(round): \(workers[worker]?.hello.name ?? "?"): \(reason)")
            if let input, let file = job.facts.flatMap({ $0.files.indices.contains(input) ? $0.files[input] : nil }) {
                output.writes.append(.unreadable(file: file, reason: reason))
            }
            if fatal { return finish(id, .failed, error: reason) }
            if let action = jobs[id]!.rounds.failed(reason, now: now) { perform(action, of: id) }
        }
    }

    private mutating func keep(_ id: Int64, _ checkpoint: StoredCheckpoint) {
        // A member that was cut off may tell late what is old by now; its metrics count all the same.
        output.writes.append(.checkpoint(job: id, checkpoint))
        jobs[id]!.epochs = max(jobs[id]!.epochs, checkpoint.metrics.map(\.epoch).max() ?? 0)
        if let known = jobs[id]!.checkpoint, known.step > checkpoint.step { return }
        if let old = jobs[id]!.checkpoint?.digest, old != checkpoint.digest { output.requests.append(.removeBlob(old)) }
        jobs[id]!.checkpoint = checkpoint
        jobs[id]!.rounds.progressed()
    }

    mutating func bundled(_ id: Int64, _ result: Result<String, PlanFailure>) {
        guard let job = jobs[id], job.stage == .evaluate else { return }
        switch result {
        case .failure(let failure): finish(id, .failed, error: "the model cannot be bundled: \(failure.reason)")
        case .success(let digest):
            output.writes.append(.bundle(job: id, digest: digest))
            enter(id, JobStage.evaluate.next(for: job.description))
        }
    }
}
