package import Cluster

/// The state from which a round goes on. Every member decides it from all members' statements and the order, with the
/// same result.
package enum RoundStart: Equatable, Sendable {
    /// Initial values from the plan's seed: no step was ever applied.
    case initial
    /// The coordinator's checkpoint: it is newer than every member's state, or as new as the newest and some member
    /// lacks it.
    case checkpoint(digest: String, step: Int64)
    /// Each member's own state: all have the same.
    case own(step: Int64)
    /// The state of the member `rank`, which is the newest; that member broadcasts it.
    case shared(rank: Int, step: Int64)

    /// Two members have different states after the same step, which must never happen.
    package struct Conflict: Error, Equatable {
        package var step: Int64
        /// The ranks of two members whose states differ.
        package var ranks: [Int]
    }

    /// Steps that the state has seen.
    package var step: Int64 {
        switch self {
        case .initial: 0
        case .checkpoint(_, let step), .own(let step), .shared(_, let step): step
        }
    }

    /// Chooses the newest state that any member or the coordinator has.
    ///
    /// - Parameters:
    ///   - statements: one of each member, by rank.
    ///   - checkpoint: the coordinator's; nil where there is none.
    package static func decide(
        _ statements: [RoundStatement], checkpoint: CheckpointName?
    ) throws(Conflict) -> RoundStart {
        try check(statements)
        let newest = statements.compactMap(\.state?.step).max()
        if let checkpoint, checkpoint.step >= newest ?? 0 {
            return statements.allSatisfy { $0.state?.step == checkpoint.step }
                ? .own(step: checkpoint.step) : .checkpoint(digest: checkpoint.digest, step: checkpoint.step)
        }
        guard let newest, let rank = statements.firstIndex(where: { $0.state?.step == newest }) else { return .initial }
        return statements.allSatisfy { $0.state?.step == newest }
            ? .own(step: newest) : .shared(rank: rank, step: newest)
    }

    /// Checks that states after the same step are the same.
    private static func check(_ statements: [RoundStatement]) throws(Conflict) {
        for (rank, statement) in statements.enumerated() {
            guard let state = statement.state,
                let first = statements[..<rank].firstIndex(where: { $0.state?.step == state.step }),
                statements[first].state != state
            else { continue }
            throw Conflict(step: state.step, ranks: [first, rank])
        }
    }

    /// Merges the metrics of all statements, each epoch once, in order.
    package static func epochs(_ statements: [RoundStatement]) -> [EpochMetrics] {
        var known: [EpochMetrics] = []
        for metrics in statements.flatMap(\.epochs) where !known.contains(where: { $0.epoch == metrics.epoch }) {
            known.append(metrics)
        }
        return known.sorted { $0.epoch < $1.epoch }
    }
}

/// A checkpoint that the coordinator keeps.
package struct CheckpointName: Equatable, Sendable {
    /// SHA-256 of its bytes, by which it is fetched.
    package var digest: String
    /// Steps that the state has seen.
    package var step: Int64

    package init(digest: String, step: Int64) {
        self.digest = digest
        self.step = step
    }
}
