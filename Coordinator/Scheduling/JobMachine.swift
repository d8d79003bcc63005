import Cluster

/// A job's stages, in order.
package enum JobStage: String, Codable, Sendable, CaseIterable {
    case queued, list, survey, specs, train, evaluate, publish, done, failed, cancelled

    package var isFinal: Bool { self == .done || self == .failed || self == .cancelled }
    /// Stages whose work is lent as tasks.
    package var hasTasks: Bool { self == .list || self == .survey || self == .specs }

    /// The stage after this one is complete.
    package func next(for job: JobDescription) -> JobStage {
        switch self {
        case .queued: .list
        case .list: .survey
        case .survey: .specs
        case .specs: job.train == nil ? .done : .train
        case .train: .evaluate
        case .evaluate: job.publish == nil ? .done : .publish
        case .publish: .done
        case .done, .failed, .cancelled: self
        }
    }
}
