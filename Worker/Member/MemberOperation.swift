import Cluster

/// What a member does next in its round. One operation is under way at a time, and each ends with one `OperationOutcome`.
package enum MemberOperation: Equatable, Sendable {
    /// Fetch the plan, and read the blocks of the member's own lanes.
    case load
    /// Connect with the round's other members.
    case connect
    /// Send this member's statement to all members, and collect theirs. `step` is that of the state in memory, whose digest the statement
    /// contains; nil if the member has no state of this job and plan.
    case exchange(step: Int64?, epochs: [EpochMetrics])
    /// Make the state from which the round goes on. It replaces the state in memory only when it is complete.
    case restore(RoundStart)
    /// Position the member's lanes in an epoch, counted from 0, and wait until all members have done so.
    case startEpoch(Int, stepsDone: Int64)
    /// Compute and apply one update of the model, completely or not at all.
    case step
    /// Compute the metrics of one part with all members.
    case evaluate(SplitPart)
}

/// How a member's operation ended.
package enum OperationOutcome: Equatable, Sendable {
    case loaded(stepsPerEpoch: Int64, epochs: Int)
    case connected
    /// All members' statements, by rank.
    case exchanged([RoundStatement])
    /// The state in memory is the one after this step.
    case restored(step: Int64)
    case started
    /// The step is applied. `loss` is the mean over its samples.
    case stepped(loss: Double)
    /// `truncated` counts the values beyond the padding that were left out of the features; it is counted with the test part.
    case evaluated(PartMetrics, truncated: Int64)
    /// The operation ended early because the round was interrupted. The state in memory is unchanged.
    case interrupted
    /// The operation failed. The state in memory is unchanged.
    case failed(MemberFailure)

    /// Whether the operation can end with this outcome.
    func answers(_ operation: MemberOperation) -> Bool {
        switch self {
        case .loaded: operation == .load
        case .connected: operation == .connect
        case .exchanged: if case .exchange = operation { true } else { false }
        case .restored: if case .restore = operation { true } else { false }
        case .started: if case .startEpoch = operation { true } else { false }
        case .stepped: operation == .step
        case .evaluated: if case .evaluate = operation { true } else { false }
        case .interrupted, .failed: true
        }
    }
}

/// What a member's shell has to do. Directives are carried out in order; `perform` is always the last.
package enum MemberDirective: Equatable, Sendable {
    /// A round begins as soon as the current one has ended. Messages of its members are kept from now on.
    case expect(RoundOrder)
    /// The round begins that was expected last.
    case begin(RoundOrder)
    /// The round's operation under way is to end early: whatever it waits for is woken.
    case interrupt(round: RoundNumber)
    /// The round is over. Its connections are closed; the state in memory stays.
    case end(round: RoundNumber)
    /// Store the state in memory at the coordinator while the round goes on. `stored` or `storeFailed` follows for each, in order.
    case store(round: RoundNumber)
    /// Send a report to the coordinator.
    case send(TrainingReport, round: RoundNumber)
    /// Carry out an operation of the current round. `completed` follows.
    case perform(MemberOperation)
}
