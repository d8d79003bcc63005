package import Cluster

/// What the epochs' metrics have made of a training: the plateau's factor, and the best epoch. It follows from the
/// validation metrics alone, so that all members have the same.
package struct TrainingCourse: Sendable, Equatable {
    /// A metric's best value, and how many epochs in a row were not better.
    package struct Best: Sendable, Equatable {
        /// nil before the first epoch with a value.
        package var value: Double?
        package var epochsSince = 0

        /// Takes an epoch's value.
        ///
        /// - Parameters:
        ///   - value: nil where the metric is undefined, which is no progress.
        ///   - margin: by how much a value must be better, of the best one's size.
        ///   - delta: by how much it must be better besides.
        /// - Returns: whether it is the best so far.
        fileprivate mutating func take(_ value: Double?, larger: Bool, margin: Double, delta: Double) -> Bool {
            guard let value, value.isFinite else {
                epochsSince += 1
                return false
            }
            guard let best = self.value else {
                self = Best(value: value)
                return true
            }
            let isBetter =
                larger ? value > best + abs(best) * margin + delta : value < best - abs(best) * margin - delta
            if isBetter { self = Best(value: value) } else { epochsSince += 1 }
            return isBetter
        }
    }

    /// Epochs whose metrics it has seen.
    package var epochs = 0
    /// What the plateau multiplies the learning rate by.
    package var factor = 1.0
    package var plateau = Best()
    package var stopping = Best()
    /// The best epoch, from 1; 0 where none is known.
    package var bestEpoch = 0

    /// The course before the first epoch.
    package init() {}

    /// Takes the metrics of an epoch's validation part.
    ///
    /// - Returns: whether the epoch is the best so far by the metric of early stopping.
    mutating func end(epoch: Int, _ metrics: PartMetrics, _ settings: TrainingCourseSettings) -> Bool {
        epochs = epoch
        if case .plateau(let metric, let factor, let patience, let threshold) = settings.schedule {
            _ = plateau.take(
                metrics.value(of: metric), larger: metric.isBetterWhenLarger, margin: threshold, delta: 0)
            if plateau.epochsSince > patience {
                self.factor *= factor
                plateau.epochsSince = 0
            }
        }
        guard let early = settings.earlyStopping else { return false }
        let isBest = stopping.take(
            metrics.value(of: early.metric), larger: early.metric.isBetterWhenLarger, margin: 0, delta: early.minDelta)
        if isBest { bestEpoch = epoch }
        return isBest
    }

    /// Whether the training ends here, before its last epoch.
    package func isOver(_ settings: TrainingCourseSettings) -> Bool {
        settings.earlyStopping.map { stopping.epochsSince >= $0.patience } ?? false
    }
}

extension PartMetrics {
    /// The value of a metric; nil where it is undefined.
    fileprivate func value(of metric: TrainingCourseSettings.Metric) -> Double? {
        switch metric {
        case .loss: events > 0 ? loss : nil
        case .auc: auc
        case .accuracy: accuracy
        case .mae: regression?.mae
        case .rmse: regression?.rmse
        }
    }
}
