package import Cluster

/// What a member has in memory when a round begins. Members exchange their statements and decide from them where the
/// round goes on.
package struct RoundStatement: Codable, Sendable, Equatable {
    /// A training state in a member's memory.
    package struct State: Codable, Sendable, Equatable {
        /// Steps applied.
        package var step: Int64
        /// A digest of the whole state: weights, optimiser and multipliers.
        package var digest: String

        package init(step: Int64, digest: String) {
            self.step = step
            self.digest = digest
        }
    }

    /// The state that the member kept from an earlier round of this job and plans; nil where it has none.
    package var state: State?
    /// Metrics of epochs that the coordinator did not have when it ordered the round.
    package var epochs: [EpochMetrics]

    package init(state: State?, epochs: [EpochMetrics]) {
        self.state = state
        self.epochs = epochs
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        state = try container.decodeIfPresent(State.self, forKey: .state)
        epochs = try container.decodeIfPresent([EpochMetrics].self, forKey: .epochs) ?? []
    }

    /// What is invalid in the statement, given the plan; nil if nothing is.
    func fault(_ plan: PlanFacts) -> String? {
        if let step = state?.step, !(0...plan.lastStep).contains(step) {
            return "a state after step \(step), expected 0 to \(plan.lastStep)"
        }
        if let metrics = epochs.first(where: { !(1...max(1, plan.epochs)).contains($0.epoch) }) {
            return "metrics of epoch \(metrics.epoch), expected 1 to \(plan.epochs)"
        }
        return nil
    }
}
