package import Cluster

/// What metrics and reports show by themselves: whether they are such as a training gives.
package enum EvaluationCheck {
    private static let events = Int64(0)...Int64(1) << 53
    private static let shares = 0.0...1.0

    /// Whether an epoch's metrics can be right: it counts from 1, and those of both parts can be.
    package static func isPlausible(_ metrics: EpochMetrics) -> Bool {
        metrics.epoch > 0 && isPlausible(metrics.train) && isPlausible(metrics.validation)
    }

    /// Whether a part's metrics can be right: counts are not negative, shares and areas are from 0 to 1, and there are
    /// at most `EvaluationReport.maxClasses` classes.
    /// Errors are not negative, and R squared is at most 1.
    package static func isPlausible(_ metrics: PartMetrics) -> Bool {
        let areas = metrics.classAUC ?? []
        if let regression = metrics.regression {
            guard isSize(regression.mae), isSize(regression.rmse),
                regression.r2.map({ $0.isFinite && $0 <= 1 }) ?? true, metrics.auc == nil, metrics.accuracy == nil
            else { return false }
        }
        return events.contains(metrics.events) && metrics.loss.isFinite && isShare(metrics.auc)
            && isShare(metrics.accuracy) && areas.count <= EvaluationReport.maxClasses && areas.allSatisfy(isShare)
    }

    /// Whether a report can be right: its arrays have the lengths that `EvaluationReport` and `OutputReport` give them,
    /// all of them for the same outputs, and its numbers are such as counting events gives.
    package static func isPlausible(_ report: EvaluationReport) -> Bool { fault(report) == nil }

    /// What cannot be right in a report; nil where everything can.
    static func fault(_ report: EvaluationReport) -> String? {
        let outputs = report.outputs ?? []
        guard report.epoch ?? 1 >= 1 else { return "the epoch" }
        guard outputs.count <= EvaluationReport.maxDetailedOutputs else { return "the number of outputs" }
        guard isPlausible(report.train, outputs: outputs.count) else { return "the training part" }
        guard isPlausible(report.test, outputs: outputs.count) else { return "the test part" }
        for (index, output) in outputs.enumerated() {
            if let fault = fault(output) { return "\(fault) of output \(index)" }
        }
        return nil
    }

    private static func isPlausible(_ part: EvaluationReport.Part, outputs: Int) -> Bool {
        let histograms = part.histograms ?? []
        let confusion = part.confusion ?? []
        return isPlausible(part.metrics) && histograms.count == outputs
            && histograms.allSatisfy { isHistogram($0.own) && isHistogram($0.others) }
            && confusion.count <= EvaluationReport.maxDetailedOutputs
            && confusion.allSatisfy { $0.count == confusion.count && $0.allSatisfy(events.contains) }
            && (part.regression.map(isPlausible) ?? true)
    }

    private static func isPlausible(_ report: RegressionReport) -> Bool {
        let residuals = report.residuals
        return residuals.range > 0 && residuals.range.isFinite && events.contains(residuals.below)
            && events.contains(residuals.above) && residuals.counts.count == RegressionReport.histogramBins
            && residuals.counts.allSatisfy(events.contains) && report.targets.count == RegressionReport.targetBins
            && report.targets.allSatisfy { bin in
                bin.low.isFinite && bin.high.isFinite && bin.low <= bin.high && events.contains(bin.events)
                    && (bin.meanTarget ?? 0).isFinite && (bin.meanPrediction ?? 0).isFinite
            }
    }

    private static func isSize(_ value: Double?) -> Bool { value.map { $0.isFinite && $0 >= 0 } ?? true }

    private static func isHistogram(_ counts: [Int64]) -> Bool {
        counts.count == EvaluationReport.histogramBins && counts.allSatisfy(events.contains)
    }

    private static func fault(_ output: OutputReport) -> String? {
        guard output.roc.map(isPlausible) ?? true else { return "the ROC curve" }
        let calibration = output.calibration
        guard calibration.count == OutputReport.calibrationBins,
            calibration.allSatisfy({ events.contains($0.events) && isShare($0.meanScore) && isShare($0.share) })
        else { return "the calibration" }
        let rejection = output.rejection
        guard rejection.count == OutputReport.rejectionTenths.count,
            rejection.allSatisfy({
                shares.contains($0.efficiency) && ($0.rejection.map { $0.isFinite && $0 >= 1 } ?? true)
            })
        else { return "the background rejection" }
        for comparison in [output.ownClass, output.otherClasses]
        where !isShare(comparison?.statistic) || !isShare(comparison?.probability) {
            return "the comparison of train and test"
        }
        return nil
    }

    private static func isPlausible(_ curve: OutputReport.Curve) -> Bool {
        func isRising(_ values: [Double]) -> Bool {
            values.allSatisfy(shares.contains) && zip(values, values.dropFirst()).allSatisfy { $0 <= $1 }
        }
        return (2...OutputReport.maxCurvePoints).contains(curve.thresholds.count)
            && curve.signal.count == curve.thresholds.count && curve.background.count == curve.thresholds.count
            && curve.thresholds.allSatisfy((0.0...2.0).contains)
            && zip(curve.thresholds, curve.thresholds.dropFirst()).allSatisfy { $0 > $1 } && isRising(curve.signal)
            && isRising(curve.background)
    }

    private static func isShare(_ value: Double?) -> Bool { value.map(shares.contains) ?? true }
}
