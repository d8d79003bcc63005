/// How a training goes on from step to step and from epoch to epoch: the learning rate's course, the gradient's limit,
/// and when it ends early.
package struct TrainingCourseSettings: Codable, Sendable, Equatable {
    /// How the learning rate changes. Epochs and steps count from the training's beginning.
    package enum Schedule: Codable, Sendable, Equatable {
        case constant
        /// Multiplied by `factor` after each `every` epochs.
        case step(every: Int, factor: Double)
        /// Along half a cosine from the whole rate to the share `final` of it, over all steps.
        case cosine(final: Double)
        /// Up to the whole rate along half a cosine during the share `rise` of all steps, from 1/`initialDivisor` of
        /// it, and then down to 1/(`initialDivisor` `finalDivisor`).
        case oneCycle(rise: Double, initialDivisor: Double, finalDivisor: Double)
        /// Multiplied by `factor` whenever the validation metric has not become better by the share `threshold` for
        /// more than `patience` epochs.
        case plateau(metric: Metric, factor: Double, patience: Int, threshold: Double)
    }

    /// A metric of the validation part.
    package enum Metric: String, Codable, Sendable, CaseIterable {
        case loss, auc, accuracy
        /// The mean absolute and the root mean squared error of a target.
        case mae, rmse

        /// Whether a larger value is a better one.
        package var isBetterWhenLarger: Bool {
            switch self {
            case .loss, .mae, .rmse: false
            case .auc, .accuracy: true
            }
        }

        /// Whether a training has it: on a target, or on classes.
        package func isDefined(onTarget: Bool) -> Bool {
            switch self {
            case .loss: true
            case .auc, .accuracy: !onTarget
            case .mae, .rmse: onTarget
            }
        }
    }

    /// When a training ends before its last epoch.
    package struct EarlyStopping: Codable, Sendable, Equatable {
        package var metric = Metric.loss
        /// The training ends after this number of epochs in a row that were not better than the best, at least 1.
        package var patience = 3
        /// By how much a metric must be better to count, 0 or more.
        package var minDelta = 0.0
        /// Whether the model is that of the best epoch.
        package var restoresBest = true

        package init() {}
    }

    package var schedule = Schedule.constant
    /// Epochs, or parts of one, at the beginning in which the rate rises in equal steps to what the schedule gives.
    package var warmup = 0.0
    /// The largest norm of the whole gradient; a longer one is scaled down to it. nil for no limit.
    package var clipNorm: Double?
    /// The batch size for which the learning rate is meant; it is multiplied by the batch over it. nil leaves it.
    package var referenceBatch: Int?
    package var earlyStopping: EarlyStopping?

    package init() {}

    /// Whether the metrics of each epoch change how the training goes on.
    package var followsMetrics: Bool {
        if case .plateau = schedule { return true }
        return earlyStopping != nil
    }

    /// Whether the model is that of the best epoch.
    package var restoresBest: Bool { earlyStopping?.restoresBest == true }
}

// MARK: Decoding: what an earlier format lacks has its default

extension TrainingCourseSettings {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.schedule, into: &schedule)
        try keys.read(.warmup, into: &warmup)
        try keys.read(.clipNorm, into: &clipNorm)
        try keys.read(.referenceBatch, into: &referenceBatch)
        try keys.read(.earlyStopping, into: &earlyStopping)
    }
}

extension TrainingCourseSettings.EarlyStopping {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.metric, into: &metric)
        try keys.read(.patience, into: &patience)
        try keys.read(.minDelta, into: &minDelta)
        try keys.read(.restoresBest, into: &restoresBest)
    }
}
