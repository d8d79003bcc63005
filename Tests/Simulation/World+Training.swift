import Cluster
import Member
import Scheduling

/// The statements of one round's members, by rank.
typealias RoundStatementTable = [Int: RoundStatement]

/// The shell of a training member: it carries out what the real `MemberMachine` decides, with a simulated network and
/// arithmetic.
extension World {
    // MARK: Inputs of the machine

    func order(_ order: RoundOrder, _ worker: SimWorker) throws {
        guard schedules[order.dataPlan] != nil else {
            throw SimWrong("the data plan \(order.dataPlan) was never planned")
        }
        try carryOut(worker.member.ordered(order), worker)
    }

    func rendezvous(_ round: RoundNumber, _ key: String, _ worker: SimWorker) throws {
        let attempts = [worker.attempt, worker.expected].compactMap(\.self)
        guard let attempt = attempts.first(where: { $0.order.round == round }),
            let rank = Int(key.split(separator: "/")[1]),
            let statement = statements["\(attempt.order.job)/\(round)"]?[rank]
        else { return }
        attempt.statements[rank] = statement
        if attempt === worker.attempt { try exchange(worker, attempt) }
    }

    /// The operation under way ends with this outcome, unless it has ended before.
    private func complete(
        _ worker: SimWorker, _ attempt: SimAttempt, _ operation: Int, _ outcome: OperationOutcome
    ) throws {
        guard worker.attempt === attempt, attempt.operationNumber == operation, attempt.operation != nil else { return }
        attempt.operation = nil
        if case .failed(let failure) = outcome {
            record.note(clock.now, "worker \(worker.index) in round \(attempt.order.round): \(failure.reason)")
        }
        try carryOut(worker.member.completed(outcome, now: clock.now), worker)
    }

    // MARK: Directives

    func carryOut(_ directives: [MemberDirective], _ worker: SimWorker) throws {
        if let broken = worker.member.validate() { throw SimWrong("worker \(worker.index) in training: \(broken)") }
        for directive in directives {
            switch directive {
            case .expect(let order): worker.expected = schedules[order.dataPlan].map { SimAttempt(order, $0) }
            case .begin(let order):
                guard worker.attempt == nil, let expected = worker.expected, expected.order == order else {
                    throw SimWrong("worker \(worker.index) begins round \(order.round) within another")
                }
                (worker.attempt, worker.expected) = (expected, nil)
            case .interrupt(let round):
                guard let attempt = worker.attempt, attempt.order.round == round, attempt.operation != nil else {
                    throw SimWrong("worker \(worker.index) interrupts round \(round), in which it does nothing")
                }
                lose(attempt)
                let operation = attempt.operationNumber
                later(worker, attempt, random.between(0, 0.05)) { [self] in
                    try complete(worker, attempt, operation, .interrupted)
                }
            case .end(let round):
                guard let attempt = worker.attempt, attempt.order.round == round, attempt.operation == nil else {
                    throw SimWrong("worker \(worker.index) ends round \(round), in which an operation is under way")
                }
                lose(attempt)
                worker.attempt = nil
            case .store: try store(worker)
            case .send(let content, let round): report(content, round, worker)
            case .perform(let operation):
                guard let attempt = worker.attempt, attempt.operation == nil else {
                    throw SimWrong("worker \(worker.index) has two operations at once")
                }
                attempt.operation = operation
                attempt.operationNumber += 1
                try perform(operation, worker, attempt)
            }
        }
    }

    /// The process is gone, with all that it had in memory.
    func dropMember(_ worker: SimWorker) {
        guard let attempt = worker.attempt else { return }
        worker.attempt = nil
        lose(attempt)
    }

    private func report(_ content: TrainingReport, _ round: RoundNumber, _ worker: SimWorker) {
        var report = content
        // The metrics of one epoch are lost on the way.
        if planted == .dropEpoch, !hasDroppedEpoch, case .checkpoint(let digest, let step, let metrics) = content,
            !metrics.isEmpty
        {
            hasDroppedEpoch = true
            report = .checkpoint(digest: digest, step: step, metrics: [])
        }
        send(.training(round: round, report), from: worker)
    }

    // MARK: Operations

    private func perform(_ operation: MemberOperation, _ worker: SimWorker, _ attempt: SimAttempt) throws {
        let number = attempt.operationNumber
        func end(after delay: Double, _ outcome: @escaping () throws -> OperationOutcome) {
            later(worker, attempt, delay) { [self] in
                guard attempt.operation != nil, attempt.operationNumber == number else { return }
                try complete(worker, attempt, number, outcome())
            }
        }
        let schedule = attempt.schedule
        switch operation {
        case .load:
            end(after: random.between(0.02, 1)) {
                .loaded(stepsPerEpoch: schedule.stepsPerEpoch, epochs: schedule.epochs)
            }
        case .connect: end(after: random.between(0.001, 0.05)) { .connected }
        case .exchange(let step, let epochs):
            if step != worker.weights?.step, step != nil {
                throw SimWrong("worker \(worker.index) states step \(step ?? -1) and has \(worker.weights?.step ?? -1)")
            }
            let state = step.flatMap { step in
                worker.weights.map { RoundStatement.State(step: step, digest: String($0.digest, radix: 16)) }
            }
            let round = attempt.order.round
            statements["\(attempt.order.job)/\(round)", default: [:]][attempt.order.rank] = RoundStatement(
                state: state, epochs: epochs)
            send(.rendezvous(round: round, key: "statement/\(attempt.order.rank)"), from: worker)
            try exchange(worker, attempt)
        case .restore(let start): restore(start, worker, attempt)
        case .startEpoch(let epoch, let stepsDone):
            guard let weights = worker.weights, weights.step == Int64(epoch) * schedule.stepsPerEpoch + stepsDone else {
                throw SimWrong("worker \(worker.index) starts epoch \(epoch) at step \(worker.weights?.step ?? -1)")
            }
            end(after: random.between(0.001, 0.05)) { .started }
        case .step:
            guard let weights = worker.weights else { throw SimWrong("worker \(worker.index) steps without weights") }
            later(worker, attempt, random.between(0.01, 0.08)) { [self] in
                let own = SimModel.sum(schedule, lanes: attempt.lanes, step: weights.step)
                add(worker, attempt, number, "step \(weights.step)", own) { [self] in try apply($0, worker, attempt) }
            }
        case .evaluate(let part):
            let what = "\(part) after \(worker.weights?.step ?? -1)"
            add(worker, attempt, number, what, 0) { _ in
                let metrics = SimModel.metrics(worker.weights?.digest ?? 0, epoch: 0)
                return .evaluated(part == .train ? metrics.train : metrics.validation)
            }
        case .report:
            add(worker, attempt, number, "report after \(worker.weights?.step ?? -1)", 0) { _ in
                .reported(SimModel.report(worker.weights?.digest ?? 0), truncated: 0)
            }
        }
    }

    /// The statements of all members have come.
    private func exchange(_ worker: SimWorker, _ attempt: SimAttempt) throws {
        guard case .exchange = attempt.operation else { return }
        let statements = attempt.order.members.indices.compactMap { attempt.statements[$0] }
        guard statements.count == attempt.order.members.count else { return }
        try complete(worker, attempt, attempt.operationNumber, .exchanged(statements))
    }

    private func restore(_ start: RoundStart, _ worker: SimWorker, _ attempt: SimAttempt) {
        let number = attempt.operationNumber
        func end(_ weights: SimWeights) -> OperationOutcome {
            worker.weights = weights
            return .restored(step: weights.step)
        }
        func endLater(_ outcome: @escaping () -> OperationOutcome) {
            later(worker, attempt, random.between(0.001, 0.05)) { [self] in
                guard attempt.operation != nil, attempt.operationNumber == number else { return }
                try complete(worker, attempt, number, outcome())
            }
        }
        switch start {
        case .initial: endLater { end(SimWeights(step: 0, digest: SimModel.initial)) }
        case .checkpoint(let digest, _):
            endLater { [self] in
                guard core != nil, let blob = blobs[digest] else {
                    return .failed(MemberFailure("no checkpoint can be fetched", cause: .transient))
                }
                return end(blob)
            }
        case .own:
            endLater { worker.weights.map(end) ?? .failed(MemberFailure("nothing is in memory", cause: .training)) }
        case .shared(let rank, let step):
            // Only its owner adds something: the sum is what it has.
            let own = attempt.order.rank == rank ? worker.weights?.digest ?? 0 : 0
            add(worker, attempt, number, "state after \(step)", own) { end(SimWeights(step: step, digest: $0)) }
        }
    }

    private func apply(_ sum: UInt64, _ worker: SimWorker, _ attempt: SimAttempt) throws -> OperationOutcome {
        guard var weights = worker.weights else { throw SimWrong("worker \(worker.index) steps without weights") }
        weights.digest = SimModel.apply(weights.digest, sum)
        weights.step += 1
        // Some member counts a step twice.
        if planted == .stepTwice, random.chance(0.01) { weights.digest = SimModel.apply(weights.digest, sum) }
        worker.weights = weights
        try check(weights, attempt)
        return .stepped(loss: 0.5)
    }

    /// Something the member does after a while, unless its round has ended.
    private func later(
        _ worker: SimWorker, _ attempt: SimAttempt, _ delay: Double, _ body: @escaping () throws -> Void
    ) {
        clock.at(clock.now + delay) { [self] in
            guard worker.attempt === attempt else { return }
            if worker.stoppedUntil > clock.now { return later(worker, attempt, worker.stoppedUntil - clock.now, body) }
            try body()
        }
    }

    // MARK: Sums over members

    /// It is out of the round: whatever the others add up with it fails.
    private func lose(_ attempt: SimAttempt) {
        let order = attempt.order
        lost[order.round] = true
        for other in workers {
            guard let peer = other.attempt, peer !== attempt, peer.order.round == order.round,
                peer.order.job == order.job, peer.isAdding
            else { continue }
            fail(other, peer, peer.operationNumber)
        }
    }

    /// The sum that a member waits for breaks.
    private func fail(_ worker: SimWorker, _ attempt: SimAttempt, _ operation: Int) {
        later(worker, attempt, random.between(0.001, 0.1)) { [self] in
            try complete(
                worker, attempt, operation,
                .failed(MemberFailure("a member of the round was lost", cause: .transient, lost: [])))
        }
    }

    /// Adds up over the members. Under faults the sum may break when some have it and others do not.
    private func add(
        _ worker: SimWorker, _ attempt: SimAttempt, _ operation: Int, _ what: String, _ value: UInt64,
        _ body: @escaping (UInt64) throws -> OperationOutcome
    ) {
        guard attempt.operation != nil, attempt.operationNumber == operation else { return }
        attempt.addingOperation = operation
        let order = attempt.order
        let key = "\(order.job)/\(order.round)/\(what)"
        if lost[order.round] == true { return fail(worker, attempt, operation) }
        func end(_ sum: UInt64?) {
            later(worker, attempt, 0) { [self] in
                guard attempt.operationNumber == operation, attempt.operation != nil else { return }
                let broken = OperationOutcome.failed(MemberFailure("a sum broke", cause: .transient, lost: []))
                try complete(worker, attempt, operation, sum.map(body) ?? broken)
            }
        }
        sums[key, default: SimSum()].given[order.rank] = value
        sums[key]?.waiting.append(end)
        // The deadline of a silent member.
        later(worker, attempt, 30) { [self] in
            guard let sum = sums[key], !sum.waiting.isEmpty else { return }
            let silent = order.members.indices.filter { sum.given[$0] == nil }
            try complete(
                worker, attempt, operation,
                .failed(MemberFailure("a sum took too long", cause: .transient, lost: silent)))
        }
        guard let all = sums[key], all.given.count == order.members.count else { return }
        sums[key]?.waiting = []
        let total = all.given.values.reduce(0, &+)
        let breaks = isFaulty && random.chance(0.02)
        for waiting in all.waiting {
            let fails = breaks && random.chance(0.5)
            clock.at(clock.now + random.between(0.0001, 0.01)) { waiting(fails ? nil : total) }
        }
    }

    // MARK: Checkpoints

    /// Stores the weights at the coordinator while training goes on.
    private func store(_ worker: SimWorker) throws {
        guard let order = worker.attempt?.order, let weights = worker.weights else {
            throw SimWrong("worker \(worker.index) is to store weights and has none")
        }
        worker.storing.append((order.job, weights))
        upload(worker, worker.life, random.between(0.001, 0.2))
    }

    /// The oldest of the states on their way arrives after a while.
    private func upload(_ worker: SimWorker, _ life: Int, _ delay: Double) {
        clock.at(clock.now + delay) { [self] in
            guard life == worker.life else { return }
            if worker.stoppedUntil > clock.now { return upload(worker, life, worker.stoppedUntil - clock.now) }
            let (job, weights) = worker.storing.removeFirst()
            guard core != nil, worker.connection != nil else {
                return try carryOut(worker.member.storeFailed("the coordinator is away"), worker)
            }
            let digest = "c\(job)-\(weights.step)-\(String(weights.digest, radix: 16))"
            blobs[digest] = weights
            try carryOut(worker.member.stored(digest: digest), worker)
        }
    }

    /// Weights after each step are those of one worker alone.
    private func check(_ weights: SimWeights, _ attempt: SimAttempt) throws {
        let job = attempt.order.job
        let digests = try truth(job).digests
        guard digests.indices.contains(Int(weights.step)), digests[Int(weights.step)] == weights.digest else {
            throw SimWrong(
                """
                job \(job): the weights after step \(weights.step) in round \(attempt.order.round) are not those \
                of one worker alone
                """
            )
        }
    }
}
