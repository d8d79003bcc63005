/// A job's stages, in order.
package enum JobStage: String, Codable, Sendable, CaseIterable {
    case queued, list, survey, specs, train, evaluate, publish, done, failed, cancelled

    /// The stage's position among all, from 0.
    package var order: Int { Self.allCases.firstIndex(of: self) ?? Self.allCases.count }

    package var isFinal: Bool {
        switch self {
        case .done, .failed, .cancelled: true
        case .queued, .list, .survey, .specs, .train, .evaluate, .publish: false
        }
    }

    /// Whether the stage's work is assigned as tasks.
    package var hasTasks: Bool {
        switch self {
        case .list, .survey, .specs: true
        case .queued, .train, .evaluate, .publish, .done, .failed, .cancelled: false
        }
    }

    /// Whether training rounds run in the stage.
    package var trains: Bool {
        switch self {
        case .train, .evaluate: true
        case .queued, .list, .survey, .specs, .publish, .done, .failed, .cancelled: false
        }
    }

    /// The stage that follows once this one is complete.
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
