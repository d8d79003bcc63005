import Cluster
import Foundation

extension StatusText {
    /// Confusion matrices and lists of classes up to here are printed; `--json` shows all.
    private static let maxClasses = 5

    /// An area under the ROC curve.
    static func area(_ value: Double?) -> String { value.map { String(format: "%.5f", $0) } ?? "undefined (one class)" }

    /// The errors of a model that learns a target, in the target's units.
    static func text(_ regression: RegressionMetrics) -> String {
        func text(_ value: Double?, _ otherwise: String) -> String {
            value.map { String(format: "%.5g", $0) } ?? "undefined (\(otherwise))"
        }
        return "MAE " + text(regression.mae, "no events") + " RMSE " + text(regression.rmse, "no events") + " R2 "
            + text(regression.r2, "the targets do not vary")
    }

    /// What the finished model does on the test part, and how train and test compare.
    ///
    /// - Parameter epochs: those that were trained.
    static func lines(_ evaluation: EvaluationReport, epochs: Int) -> [String] {
        var lines: [String] = []
        if let epoch = evaluation.epoch, epoch != epochs {
            lines.append("the model is that of epoch \(epoch) of \(epochs), the best (early stopping)")
        }
        if let areas = evaluation.test.metrics.classAUC {
            let shown = areas.prefix(maxClasses).enumerated().map { "\($0) \(area($1))" }
            lines.append("AUC by class: " + listed(shown, of: areas.count))
        }
        if let confusion = evaluation.test.confusion, confusion.count <= maxClasses {
            lines.append("events by true class, and predicted as 0, 1, ...:")
            let width = String(confusion.joined().max() ?? 0).count + 1
            for (truth, counts) in confusion.enumerated() {
                let cells = counts.map { count in
                    let text = String(count)
                    return String(repeating: " ", count: width - text.count) + text
                }
                lines.append("  \(truth):" + cells.joined())
            }
        }
        let outputs = evaluation.outputs ?? []
        for (output, report) in outputs.prefix(maxClasses).enumerated() {
            let name = outputs.count > 1 ? " of class \(output)" : ""
            let values = report.rejection.filter { $0.efficiency == 0.5 || $0.efficiency == 0.8 }.map {
                rejection($0, report) + " at signal efficiency \($0.efficiency)"
            }
            lines.append("background rejection\(name): " + values.joined(separator: ", "))
        }
        let probabilities = outputs.flatMap { [$0.ownClass, $0.otherClasses] }.compactMap { $0?.probability }
        if let smallest = probabilities.min() {
            lines.append(
                "train against test scores (Kolmogorov-Smirnov): smallest probability "
                    + String(format: "%.3g", smallest))
        }
        return lines
    }

    private static func listed(_ shown: [String], of count: Int) -> String {
        shown.joined(separator: ", ") + (count > shown.count ? ", and \(count - shown.count) more" : "")
    }

    private static func rejection(_ value: OutputReport.Rejection, _ report: OutputReport) -> String {
        if let rejection = value.rejection { return String(format: "%.1f", rejection) }
        return report.roc == nil ? "undefined (one class)" : "undefined (no background is left)"
    }
}
