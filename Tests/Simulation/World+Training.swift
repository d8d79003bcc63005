import Cluster
import Sampling
import Scheduling
import Training

/// What the members of one round have said at its beginning, by rank.
typealias RoundStatementTable = [Int: RoundStatement]

extension World {
    // MARK: As TrainingRunner does

    func start(_ order: RoundOrder, _ worker: SimWorker) throws {
        if let left = worker.left, left.round == order.round {
            return send(.training(round: left.round, left.report), from: worker)
        }
        if let member = worker.member, member.order.round >= order.round { return }
        stopMember(worker)
        guard order.kernels == worker.request.kernels else {
            throw SimWrong(
                "worker \(worker.index) with the kernels \(worker.request.kernels) is to train with \(order.kernels)")
        }
        guard let schedule = schedules[order.dataPlan] else {
            throw SimWrong("the data plan \(order.dataPlan) was never planned")
        }
        let member = SimMember(order, schedule)
        worker.member = member
        later(worker, member, random.between(0.02, 1)) { [self] in
            member.phase = .connecting
            let memory = worker.memory?.plan == order.dataPlan ? worker.memory : nil
            let statement = RoundStatement(
                step: memory?.step ?? -1, digest: memory.map { String($0.digest, radix: 16) } ?? "",
                epochs: memory?.epochs ?? [])
            statements["\(order.job)/\(order.round)", default: [:]][order.rank] = statement
            send(.rendezvous(round: order.round, key: "statement/\(order.rank)"), from: worker)
        }
    }

    /// Something the member does after a while, unless it has stopped.
    private func later(_ worker: SimWorker, _ member: SimMember, _ delay: Double, _ body: @escaping () throws -> Void) {
        let life = worker.life
        clock.at(clock.now + delay) { [self] in
            guard life == worker.life, worker.member === member else { return }
            if worker.stoppedUntil > clock.now { return later(worker, member, worker.stoppedUntil - clock.now, body) }
            try body()
        }
    }

    /// It is out of the round: whatever the others add up with it fails.
    func stopMember(_ worker: SimWorker) {
        guard let member = worker.member else { return }
        worker.member = nil
        worker.session.round = nil
        lost[member.order.round] = true
        for other in workers {
            if let peer = other.member, peer.order.round == member.order.round, peer.order.job == member.order.job {
                fail(other, peer)
            }
        }
    }

    /// A sum that it waits for breaks.
    private func fail(_ worker: SimWorker, _ member: SimMember) {
        guard member.isConnected else { return }
        later(worker, member, random.between(0.001, 0.1)) { [self] in
            leave(worker, member, "a member of the round was lost", fatal: false)
        }
    }

    private func leave(_ worker: SimWorker, _ member: SimMember, _ reason: String, fatal: Bool) {
        guard worker.member === member else { return }
        let report = TrainingReport.failed(reason: reason, fatal: fatal, input: nil)
        worker.left = (member.order.round, report)
        send(.training(round: member.order.round, report), from: worker)
        stopMember(worker)
    }

    func rendezvous(_ round: RoundNumber, _ key: String, _ worker: SimWorker) throws {
        guard let member = worker.member, member.order.round == round, !member.isConnected else { return }
        let rank = Int(key.split(separator: "/")[1])!
        member.statements[rank] = statements["\(member.order.job)/\(round)"]![rank]!
        guard member.statements.count == member.order.members.count else { return }
        member.isConnected = true
        if lost[round] == true { return fail(worker, member) }
        try decide(worker, member)
    }

    // MARK: As Trainer does

    private func decide(_ worker: SimWorker, _ member: SimMember) throws {
        let order = member.order
        let statements = order.members.indices.map { member.statements[$0]! }
        let decision: RoundStart
        do {
            decision = try RoundStart.decide(statements, checkpoint: order.checkpoint.map { _ in order.checkpointStep })
        } catch {
            throw SimWrong("two states after step \(error.step), of ranks \(error.ranks), in round \(order.round)")
        }
        switch decision {
        case .beginning: (member.step, member.digest) = (0, SimModel.initial)
        case .checkpoint:
            guard core != nil, let blob = blobs[order.checkpoint!] else {
                return leave(worker, member, "no checkpoint can be fetched", fatal: false)
            }
            (member.step, member.digest) = blob
        case .member(let rank, let step):
            (member.step, member.digest) = (step, UInt64(statements[rank].digest, radix: 16)!)
        }
        let steps = member.schedule.stepsPerEpoch
        member.epochs = RoundStart.epochs(statements).filter {
            $0.epoch > order.epochs && Int64($0.epoch) * steps <= member.step
        }
        keep(worker, member)
        if !member.epochs.isEmpty { store(worker, member, member.epochs) }
        let epoch = member.step / steps
        let isEvaluated =
            member.step % steps != 0 || epoch == 0 || epoch <= order.epochs
            || member.epochs.contains { $0.epoch == epoch }
        try isEvaluated ? goOn(worker, member) : evaluate(worker, member)
    }

    private func keep(_ worker: SimWorker, _ member: SimMember) {
        worker.memory = (member.order.dataPlan, member.step, member.digest, member.epochs)
    }

    private func goOn(_ worker: SimWorker, _ member: SimMember) throws {
        let schedule = member.schedule
        guard member.step < schedule.steps else {
            member.phase = .evaluating
            return add(worker, member, "test", 0) { [self] _ in
                if member.order.rank == 0 { finishTraining(worker, member) }
            }
        }
        member.phase = .training
        later(worker, member, random.between(0.01, 0.08)) { [self] in
            let own = SimModel.sum(schedule, lanes: member.lanes, step: member.step)
            add(worker, member, "step \(member.step)", own) { [self] sum in
                member.digest = SimModel.apply(member.digest, sum)
                member.step += 1
                // Some member counts a step twice.
                if planted == .stepTwice, random.chance(0.01) { member.digest = SimModel.apply(member.digest, sum) }
                try check(member)
                keep(worker, member)
                if member.step % schedule.stepsPerEpoch == 0 { return try evaluate(worker, member) }
                if member.order.rank == 0, random.chance(0.05) { store(worker, member, []) }
                try goOn(worker, member)
            }
        }
    }

    private func evaluate(_ worker: SimWorker, _ member: SimMember) throws {
        member.phase = .evaluating
        let epoch = Int(member.step / member.schedule.stepsPerEpoch)
        add(worker, member, "epoch \(epoch)", 0) { [self] _ in
            let metrics = SimModel.metrics(member.digest, epoch: epoch)
            member.epochs.append(metrics)
            keep(worker, member)
            // Its metrics are lost on the way.
            let drops = planted == .dropEpoch && !hasDroppedEpoch
            hasDroppedEpoch = hasDroppedEpoch || drops
            store(worker, member, drops ? [] : [metrics])
            try goOn(worker, member)
        }
    }

    /// Adds up over the members. Under faults the sum may break when some have it and others do not.
    private func add(
        _ worker: SimWorker, _ member: SimMember, _ what: String, _ value: UInt64,
        _ body: @escaping (UInt64) throws -> Void
    ) {
        let order = member.order
        let key = "\(order.job)/\(order.round)/\(what)"
        if lost[order.round] == true { return fail(worker, member) }
        sums[key, default: SimSum()].given[order.rank] = value
        sums[key]!.waiting.append { [self] sum in
            guard worker.member === member else { return }
            guard let sum else { return leave(worker, member, "a sum broke", fatal: false) }
            later(worker, member, 0) { try body(sum) }
        }
        // Gloo's own deadline.
        later(worker, member, 30) { [self] in
            if sums[key]?.waiting.isEmpty == false { leave(worker, member, "a sum took too long", fatal: false) }
        }
        guard let all = sums[key], all.given.count == order.members.count else { return }
        sums[key]!.waiting = []
        let total = all.given.values.reduce(0, &+)
        let breaks = isFaulty && random.chance(0.02)
        for waiting in all.waiting {
            let fails = breaks && random.chance(0.5)
            clock.at(clock.now + random.between(0.0001, 0.01)) { waiting(fails ? nil : total) }
        }
    }

    /// Stores a state at the coordinator, and tells it.
    private func store(_ worker: SimWorker, _ member: SimMember, _ metrics: [EpochMetrics]) {
        guard member.order.rank == 0 else { return }
        guard core != nil, worker.connection != nil else {
            return leave(worker, member, "cannot store a checkpoint", fatal: false)
        }
        send(
            .training(round: member.order.round, .checkpoint(digest: put(member), step: member.step, metrics: metrics)),
            from: worker)
    }

    private func put(_ member: SimMember) -> String {
        let digest = "c\(member.order.job)-\(member.step)-\(String(member.digest, radix: 16))"
        blobs[digest] = (member.step, member.digest)
        return digest
    }

    private func finishTraining(_ worker: SimWorker, _ member: SimMember) {
        let part = PartMetrics(events: 1, loss: 0, auc: 0, accuracy: 0)
        send(
            .training(
                round: member.order.round, .finished(digest: put(member), step: member.step, test: part, truncated: 0)),
            from: worker)
    }

    /// Weights after each step are those of one worker alone.
    private func check(_ member: SimMember) throws {
        let truth = try truth(member.order.job)
        guard truth.digests.indices.contains(Int(member.step)), truth.digests[Int(member.step)] == member.digest else {
            throw SimWrong(
                "job \(member.order.job): the weights after step \(member.step) in round \(member.order.round) are not those of one worker alone"
            )
        }
    }
}
