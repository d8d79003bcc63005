package import Cluster

/// How a member's operation ended.
package enum OperationOutcome: Equatable, Sendable {
    /// - Parameter followsMetrics: whether the metrics of each epoch change how the training goes on.
    case loaded(stepsPerEpoch: Int64, epochs: Int, followsMetrics: Bool = false)
    case connected
    /// All members' statements, by rank.
    case exchanged([RoundStatement])
    /// The state in memory is the one after this step.
    case restored(step: Int64)
    case started
    /// The step is applied. `loss` is the mean over its samples.
    case stepped(loss: Double)
    /// - Parameter endsTraining: whether these metrics, of the validation part, end the training before its last epoch.
    case evaluated(PartMetrics, endsTraining: Bool = false)
    /// `truncated` counts the values beyond the padding that were left out of the features, in all parts.
    case reported(EvaluationReport, truncated: Int64)
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
        case .reported: operation == .report
        case .interrupted, .failed: true
        }
    }
}
