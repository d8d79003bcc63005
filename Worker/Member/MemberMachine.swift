package import Cluster

/// The rules of a training member: which round it takes part in, which operation comes next, what it keeps from round
/// to round, and what it reports. It is pure; the worker's shell and the simulation drive the same machine.
///
/// States of a member, and what moves them:
///
///     idle --(order)--> working --(outcome)--> working ... --(outcome of the report)--> finished
///     finished --(stop)--> idle
///     finished --(newer order)--> working
///     working --(stop, newer order, failure to store)--> ending --(outcome)--> idle, or working for the newer order
///     working --(failure)--> idle; the report is kept, and sent again if the order comes again
///
/// Operations of a round; each begins when the one before has succeeded:
///
///     load -> connect -> exchange -> restore -.-> evaluate train, validation -.-> startEpoch -> step ... step -.
///                                             |   (an epoch's end without     |                                |
///                                             |    known metrics)             '-> report (all epochs are done, |
///                                             |                                   or metrics end the training) |
///                                             |                                   -> finished                  |
///                                             '<---------------------------------------------------------------'
///
/// One operation is under way at a time. Its outcome is awaited even if the round has ended meanwhile, so the machine
/// always knows which state the shell has in memory. A round that this member left, or that was stopped, never begins
/// again within a session; round numbers only grow. Only the first member (rank 0) stores states and reports progress.
package struct MemberMachine: Sendable {
    /// How often the first member reports, in seconds.
    package struct Settings: Sendable {
        /// The shortest time between two reports of progress.
        package var reportSeconds = 0.5
        /// The time between two stored states if no epoch ends meanwhile.
        package var checkpointSeconds = 20.0

        package init() {}
    }

    /// What the machine knows of the training state that the shell keeps from round to round.
    package struct Memory: Equatable, Sendable {
        /// The order of the round in which the state was restored; it names the job and its plans.
        package let order: RoundOrder
        /// Steps that the state has seen.
        package fileprivate(set) var step: Int64
        /// Metrics of epochs that the coordinator did not have when the round began, by epoch.
        package fileprivate(set) var epochs: [EpochMetrics]
    }

    /// A state on its way to the coordinator, with what is reported once it is stored.
    private enum Storing: Equatable, Sendable {
        case checkpoint(step: Int64, [EpochMetrics])
        case finished(step: Int64, EvaluationReport, truncated: Int64)
    }

    /// A round under way.
    private struct Attempt: Sendable {
        let order: RoundOrder
        /// The operation under way; nil once everything is done.
        var operation: MemberOperation?
        /// The round is over, and the outcome of the operation under way is awaited.
        var isEnding = false
        var phase = RoundPhase.loading
        var plan: PlanFacts?
        /// The epoch, from 0, at which the lanes are positioned; nil before the first.
        var position: Int?
        /// nil until the state is restored.
        var pace: ReportPace?
        /// Metrics of the training part of the epoch that is being evaluated.
        var train: PartMetrics?
        /// The epoch whose validation metrics this round has computed last.
        var evaluated: Int?
        /// Those metrics ended the training before its last epoch.
        var endsTraining = false
        /// Metrics from all members' statements.
        var stated: [EpochMetrics] = []

        var isFirst: Bool { order.rank == 0 }
    }

    private let settings: Settings
    private var attempt: Attempt?
    /// The round that begins as soon as the current one has ended.
    private var next: RoundOrder?
    /// The newest round of this session. Orders that are not newer are ignored.
    private var newestRound: RoundNumber?
    /// The newest round that this member left because of a failure, with the report of it.
    private var left: (round: RoundNumber, report: TrainingReport)?
    /// States on their way to the coordinator, oldest first; nil if their round is over: the coordinator ignores
    /// reports of such a round, and the metrics stay in memory.
    private var storing: [Storing?] = []
    /// nil until a first state is restored.
    package private(set) var memory: Memory?

    package init(settings: Settings = Settings()) { self.settings = settings }

    /// What the worker's heartbeat reports of its round; nil if it is in none.
    package var heartbeat: Heartbeat.InRound? {
        if let next { return Heartbeat.InRound(round: next.round, phase: .loading, step: 0) }
        guard let attempt, !attempt.isEnding else { return nil }
        let step = attempt.pace == nil ? 0 : memory?.step ?? 0
        return Heartbeat.InRound(round: attempt.order.round, phase: attempt.phase, step: step)
    }

    // MARK: Inputs

    /// Takes an order into a round. The same order may come more than once.
    package mutating func ordered(_ order: RoundOrder) -> [MemberDirective] {
        if let left, left.round == order.round { return [.send(left.report, round: left.round)] }
        if let newestRound, order.round <= newestRound { return [] }
        newestRound = order.round
        if let failure = fault(order) {
            next = nil
            return endAttempt() + [remember(failure, of: order.round)]
        }
        next = order
        return [.expect(order)] + (attempt == nil ? beginNext() : endAttempt())
    }

    /// Takes the coordinator's message that a round is over. Older rounds are over too, even if the messages about them
    /// were lost.
    package mutating func stopped(round: RoundNumber) -> [MemberDirective] {
        newestRound = max(newestRound ?? round, round)
        if let next, next.round <= round { self.next = nil }
        guard let attempt, attempt.order.round <= round else { return [] }
        return endAttempt()
    }

    /// Takes the end of the session, which ends every round. In the next session the round numbers may be another
    /// ledger's.
    package mutating func disconnected() -> [MemberDirective] {
        (next, newestRound, left) = (nil, nil, nil)
        return endAttempt()
    }

    /// Takes the outcome of the operation under way.
    ///
    /// - Parameter now: seconds of a steady clock.
    package mutating func completed(_ outcome: OperationOutcome, now: Double) -> [MemberDirective] {
        guard let operation = attempt?.operation, outcome.answers(operation) else {
            preconditionFailure(
                "the outcome \(outcome) answers no operation that is under way: \(String(describing: attempt))")
        }
        attempt?.operation = nil
        let metrics = keep(outcome, of: operation)
        guard attempt?.isEnding == false else { return closeAttempt() }
        switch outcome {
        case .loaded(let steps, let epochs, let followsMetrics):
            guard let plan = PlanFacts(stepsPerEpoch: steps, epochs: epochs, followsMetrics: followsMetrics) else {
                return leave(MemberFailure("invalid plan: \(epochs) epochs of \(steps) steps each", cause: .job))
            }
            return loaded(plan)
        case .connected: return connected()
        case .exchanged(let statements): return exchanged(statements)
        case .restored(let step): return restored(step: step, operation, now: now)
        case .started: return goOn()
        case .stepped(let loss): return stepped(loss: loss, now: now)
        case .evaluated: return metrics.map { epochEnded($0, now: now) } ?? perform(.evaluate(.validation))
        case .reported(let report, let truncated): return reported(report, truncated: truncated, now: now)
        case .interrupted:
            return leave(MemberFailure("the round was given up during \(operation)", cause: .transient, lost: []))
        case .failed(let failure): return leave(failure)
        }
    }

    /// Takes the message that the oldest of the states on their way is stored under this digest.
    package mutating func stored(digest: String) -> [MemberDirective] {
        guard !storing.isEmpty else { preconditionFailure("a state was stored that nobody handed over") }
        guard let what = storing.removeFirst(), let round = attempt?.order.round else { return [] }
        switch what {
        case .checkpoint(let step, let metrics):
            return [.send(.checkpoint(digest: digest, step: step, metrics: metrics), round: round)]
        case .finished(let step, let evaluation, let truncated):
            let report = TrainingReport.finished(
                digest: digest, step: step, test: evaluation.test.metrics, truncated: truncated, evaluation: evaluation)
            return [.send(report, round: round)]
        }
    }

    /// Takes the message that the oldest of the states on their way could not be stored.
    package mutating func storeFailed(_ reason: String) -> [MemberDirective] {
        guard !storing.isEmpty else { preconditionFailure("a state could not be stored that nobody handed over") }
        guard storing.removeFirst() != nil else { return [] }
        return leave(MemberFailure("cannot store a checkpoint: \(reason)", cause: .transient, lost: []))
    }

    // MARK: Rounds begin and end

    /// Why an order cannot be followed; nil if it can.
    private func fault(_ order: RoundOrder) -> MemberFailure? {
        guard order.members.indices.contains(order.rank), order.owners.allSatisfy(order.members.indices.contains) else {
            return MemberFailure(
                """
                invalid round order: rank \(order.rank) and lane owners \(order.owners) of \
                \(order.members.count) members
                """,
                cause: .transient, lost: [])
        }
        return nil
    }

    private mutating func beginNext() -> [MemberDirective] {
        guard let order = next else { return [] }
        next = nil
        attempt = Attempt(order: order)
        return [.begin(order)] + perform(.load)
    }

    /// Ends the round for this member. The next one begins when the operation under way has ended.
    private mutating func endAttempt() -> [MemberDirective] {
        guard let attempt, !attempt.isEnding else { return [] }
        storing = storing.map { _ in nil }
        guard attempt.operation != nil else { return closeAttempt() }
        self.attempt?.isEnding = true
        return [.interrupt(round: attempt.order.round)]
    }

    private mutating func closeAttempt() -> [MemberDirective] {
        guard let round = attempt?.order.round else { return [] }
        attempt = nil
        return [.end(round: round)] + beginNext()
    }

    private mutating func remember(_ failure: MemberFailure, of round: RoundNumber) -> MemberDirective {
        let report = TrainingReport.failed(
            reason: failure.reason, fatal: failure.isFatal, input: failure.input, lost: failure.lost)
        left = (round, report)
        return .send(report, round: round)
    }

    /// Leaves the round with a report of the failure.
    private mutating func leave(_ failure: MemberFailure) -> [MemberDirective] {
        guard let round = attempt?.order.round else { return [] }
        return [remember(failure, of: round)] + endAttempt()
    }

    private mutating func perform(_ operation: MemberOperation) -> [MemberDirective] {
        attempt?.operation = operation
        switch operation {
        case .load: attempt?.phase = .loading
        case .connect: attempt?.phase = .connecting
        case .step: attempt?.phase = .training
        case .evaluate, .report: attempt?.phase = .evaluating
        case .exchange, .restore, .startEpoch: break
        }
        return [.perform(operation)]
    }

    // MARK: Memory

    /// The memory, if it is of the current round's job and plans.
    private var known: Memory? {
        guard let memory, let order = attempt?.order, memory.order.isSameTraining(as: order) else { return nil }
        return memory
    }

    /// Notes how the outcome changed the state in the shell's memory, even if the round is over.
    ///
    /// - Returns: the metrics of the epoch whose evaluation is complete with this outcome.
    private mutating func keep(_ outcome: OperationOutcome, of operation: MemberOperation) -> EpochMetrics? {
        switch outcome {
        case .restored(let step):
            guard let attempt, let plan = attempt.plan else { return nil }
            // The coordinator has the earlier ones; epochs after the state's step are trained again, with the same
            // result.
            let epochs = attempt.stated.filter {
                $0.epoch > attempt.order.epochs && plan.contains(epoch: $0.epoch, step: step)
            }
            memory = Memory(order: attempt.order, step: step, epochs: epochs)
        case .stepped: memory?.step += 1
        case .evaluated(let part, let endsTraining):
            if operation == .evaluate(.train) { attempt?.train = part }
            guard operation == .evaluate(.validation), let plan = attempt?.plan, let train = attempt?.train,
                let step = memory?.step
            else { return nil }
            let metrics = EpochMetrics(epoch: plan.epochs(after: step), train: train, validation: part)
            attempt?.evaluated = metrics.epoch
            attempt?.endsTraining = endsTraining
            if !isKnown(metrics.epoch) { memory?.epochs.append(metrics) }
            return metrics
        case .loaded, .connected, .exchanged, .started, .reported, .interrupted, .failed: break
        }
        return nil
    }

    // MARK: The course of a round

    private mutating func loaded(_ plan: PlanFacts) -> [MemberDirective] {
        guard plan.stepsPerEpoch > 0 else {
            return leave(MemberFailure("no event is in the training part", cause: .job))
        }
        attempt?.plan = plan
        return perform(.connect)
    }

    private mutating func connected() -> [MemberDirective] {
        let coordinators = attempt?.order.epochs ?? 0
        return perform(.exchange(step: known?.step, epochs: (known?.epochs ?? []).filter { $0.epoch > coordinators }))
    }

    private mutating func exchanged(_ statements: [RoundStatement]) -> [MemberDirective] {
        guard let attempt, let plan = attempt.plan else { return [] }
        let order = attempt.order
        guard statements.count == order.members.count else {
            return leave(
                MemberFailure(
                    "invalid exchange: expected \(order.members.count) statements, found \(statements.count)",
                    cause: .transient, lost: []))
        }
        for (rank, statement) in statements.enumerated() {
            guard let fault = statement.fault(plan) else { continue }
            return leave(
                MemberFailure("invalid statement of \(order.members[rank]): \(fault)", cause: .transient, lost: [rank]))
        }
        let start: RoundStart
        do throws(RoundStart.Conflict) {
            let checkpoint = order.checkpoint.map { CheckpointName(digest: $0, step: order.checkpointStep) }
            start = try RoundStart.decide(statements, checkpoint: checkpoint)
        } catch {
            let names = error.ranks.map { order.members[$0] }.joined(separator: " and ")
            return leave(
                MemberFailure(
                    "the training states after step \(error.step) differ: those of \(names) are not the same",
                    cause: .training))
        }
        self.attempt?.stated = RoundStart.epochs(statements)
        return perform(.restore(start))
    }

    private mutating func restored(step: Int64, _ operation: MemberOperation, now: Double) -> [MemberDirective] {
        guard let plan = attempt?.plan, case .restore(let start) = operation else { return [] }
        guard step == start.step, step <= plan.lastStep else {
            return leave(
                MemberFailure(
                    """
                    invalid training state: expected one after step \(start.step) of \(plan.lastStep), \
                    found one after step \(step)
                    """,
                    cause: .transient))
        }
        attempt?.pace = ReportPace(settings, now: now)
        // The member that computed these metrics may have left before it could report them.
        let epochs = memory?.epochs ?? []
        return (epochs.isEmpty ? [] : store(.checkpoint(step: step, epochs), now: now)) + goOn()
    }

    /// Chooses the operation that follows from the state in memory.
    private mutating func goOn() -> [MemberDirective] {
        guard let plan = attempt?.plan, let step = memory?.step else { return [] }
        let epoch = plan.epochs(after: step)
        if plan.endsEpoch(step), !isEvaluated(epoch) { return perform(.evaluate(.train)) }
        if epoch >= plan.epochs || attempt?.endsTraining == true { return perform(.report) }
        guard attempt?.position == epoch else {
            attempt?.position = epoch
            return perform(.startEpoch(epoch, stepsDone: step - Int64(epoch) * plan.stepsPerEpoch))
        }
        return perform(.step)
    }

    /// Whether this member or the coordinator has the metrics of an epoch, counted from 1.
    private func isKnown(_ epoch: Int) -> Bool {
        epoch <= attempt?.order.epochs ?? 0 || memory?.epochs.contains { $0.epoch == epoch } == true
    }

    /// Whether the metrics of an epoch need not be computed. Where the training follows them, a round that begins at an
    /// epoch's end computes them again: not every member's state may have taken them.
    private func isEvaluated(_ epoch: Int) -> Bool {
        attempt?.plan?.followsMetrics == true ? attempt?.evaluated == epoch : isKnown(epoch)
    }

    private mutating func stepped(loss: Double, now: Double) -> [MemberDirective] {
        guard let plan = attempt?.plan, let step = memory?.step, let round = attempt?.order.round else { return [] }
        guard attempt?.isFirst == true else { return goOn() }
        var directives: [MemberDirective] = []
        if let rate = attempt?.pace?.rate(step: step, now: now) {
            let report = TrainingReport.progress(
                step: step, epoch: plan.epochs(after: step - 1), stepsPerEpoch: plan.stepsPerEpoch,
                stepsPerSecond: rate, loss: loss)
            directives.append(.send(report, round: round))
        }
        // The state at an epoch's end is stored once its metrics are known.
        if !plan.endsEpoch(step), attempt?.pace?.wantsStore(now: now) == true {
            directives += store(.checkpoint(step: step, []), now: now)
        }
        return directives + goOn()
    }

    private mutating func epochEnded(_ metrics: EpochMetrics, now: Double) -> [MemberDirective] {
        guard let step = memory?.step else { return [] }
        return store(.checkpoint(step: step, [metrics]), now: now) + goOn()
    }

    private mutating func reported(_ report: EvaluationReport, truncated: Int64, now: Double) -> [MemberDirective] {
        guard let step = memory?.step else { return [] }
        return store(.finished(step: step, report, truncated: truncated), now: now)
    }

    /// Hands the state over for storing if this is the first member.
    private mutating func store(_ what: Storing, now: Double) -> [MemberDirective] {
        guard let attempt, attempt.isFirst else { return [] }
        self.attempt?.pace?.stored(now: now)
        storing.append(what)
        return [.store(round: attempt.order.round)]
    }

    // MARK: Invariants

    /// Checks what must hold after every input. Returns what does not hold; nil if everything does.
    package func validate() -> String? {
        if let next {
            // After a new session the round that is ending may be another ledger's, of any number.
            guard let attempt, attempt.isEnding else { return "round \(next.round) waits, and no round is ending" }
        }
        if let attempt { if let fault = fault(of: attempt) { return "round \(attempt.order.round): \(fault)" } }
        if let left, left.round > newestRound ?? left.round {
            return "left round \(left.round), which is not the newest"
        }
        if let memory,
            memory.step < 0 || zip(memory.epochs, memory.epochs.dropFirst()).contains(where: { $0.epoch >= $1.epoch })
        {
            return "memory of step \(memory.step) with the epochs \(memory.epochs.map(\.epoch))"
        }
        if attempt?.isEnding ?? true, storing.contains(where: { $0 != nil }) {
            return "a state is stored for a round that is over"
        }
        return nil
    }

    private func fault(of attempt: Attempt) -> String? {
        if attempt.isEnding { return attempt.operation == nil ? "it is ending, and nothing is awaited" : nil }
        guard attempt.order.round == newestRound else {
            return "it goes on, and \(newestRound.map(\.description) ?? "none") is newer"
        }
        switch attempt.operation {
        case .load: return attempt.plan == nil ? nil : "it loads a plan that it has"
        case .connect, .exchange, .restore: return attempt.pace == nil ? nil : "it begins twice"
        case .startEpoch(let epoch, _):
            return attempt.position == epoch ? nil : "it starts epoch \(epoch) and is elsewhere"
        case .step, .evaluate, .report, nil: break
        }
        guard let plan = attempt.plan, attempt.pace != nil, let memory = known else { return "it has no state" }
        guard memory.step <= plan.lastStep else { return "step \(memory.step) is beyond \(plan.lastStep)" }
        if attempt.operation == .step {
            return attempt.position == plan.epochs(after: memory.step) ? nil : "its lanes are not in the step's epoch"
        }
        guard attempt.operation == nil || attempt.operation == .report else { return nil }
        return memory.step == plan.lastStep || attempt.endsTraining
            ? nil : "it reports or has finished before the last step"
    }
}
