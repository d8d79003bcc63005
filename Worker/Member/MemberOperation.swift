package import Cluster

/// What a member does next in its round. One operation is under way at a time, and each ends with one
/// `OperationOutcome`.
package enum MemberOperation: Equatable, Sendable {
    /// Fetch the plan, and read the blocks of the member's own lanes.
    case load
    /// Connect with the round's other members.
    case connect
    /// Send this member's statement to all members, and collect theirs. `step` is that of the state in memory, whose
    /// digest the statement contains; nil if the member has no state of this job and plan.
    case exchange(step: Int64?, epochs: [EpochMetrics])
    /// Make the state from which the round goes on. It replaces the state in memory only when it is complete.
    case restore(RoundStart)
    /// Position the member's lanes in an epoch, counted from 0, and wait until all members have done so.
    case startEpoch(Int, stepsDone: Int64)
    /// Compute and apply one update of the model, completely or not at all.
    case step
    /// Compute the metrics of one part with all members, at an epoch's end.
    case evaluate(SplitPart)
    /// Compute the report of the trained model, over all of train and test, with all members.
    case report
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
    /// Store the state in memory at the coordinator while the round goes on. `stored` or `storeFailed` follows for
    /// each, in order.
    case store(round: RoundNumber)
    /// Send a report to the coordinator.
    case send(TrainingReport, round: RoundNumber)
    /// Carry out an operation of the current round. `completed` follows.
    case perform(MemberOperation)
}
