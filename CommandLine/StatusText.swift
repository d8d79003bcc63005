import Cluster
import Foundation

/// A job's status as text.
enum StatusText {
    /// The loss of a part, and its AUC and accuracy where it has them; of a target its errors.
    ///
    /// - Parameter onTarget: whether the loss is that of a target, whose size may be any.
    private static func text(_ part: PartMetrics, onTarget: Bool) -> String {
        if onTarget {
            return String(format: "loss %.5g", part.loss) + (part.regression.map { " " + text($0) } ?? "")
        }
        return String(format: "loss %.5f", part.loss) + (part.auc.map { String(format: " AUC %.5f", $0) } ?? "")
            + (part.accuracy.map { String(format: " accuracy %.4f", $0) } ?? "")
    }

    static func number(_ value: Double) -> String {
        value >= 1e6
            ? String(format: "%.2fM", value / 1e6)
            : value >= 1e3 ? String(format: "%.1fk", value / 1e3) : String(format: "%.0f", value)
    }

    static func milestone(_ status: JobStatus) -> String {
        let tenth = status.tasksAll > 0 ? status.tasksDone * 10 / status.tasksAll : 0
        return "\(status.stage) \(tenth) \(status.metrics.count) \(status.waiting ?? "")"
    }

    static func bar(_ status: JobStatus) -> String {
        var text = "[\(status.name)] \(status.stage)"
        var share: Double?
        if status.tasksAll > 0 {
            share = Double(status.tasksDone) / Double(status.tasksAll)
            text += " \(status.tasksDone)/\(status.tasksAll)"
        } else if status.steps > 0, status.epochs > 0 {
            share = Double(status.step) / (Double(status.steps) * Double(status.epochs))
            text += " epoch \(min(status.epoch + 1, status.epochs))/\(status.epochs)"
        }
        if let share, !status.isFinal {
            let filled = min(20, max(0, Int(share * 20)))
            text += " |" + String(repeating: "#", count: filled) + String(repeating: "-", count: 20 - filled) + "|"
        }
        if status.eventsPerSecond > 0 { text += " \(number(status.eventsPerSecond)) events/s" }
        if status.megabytesPerSecond > 0 { text += String(format: " %.1f MB/s", status.megabytesPerSecond) }
        let errors = status.metrics.last?.validation.regression
        if let loss = status.loss { text += String(format: errors == nil ? " loss %.4f" : " loss %.4g", loss) }
        if let auc = status.metrics.last?.validation.auc { text += String(format: " AUC %.4f", auc) }
        if let error = errors?.rmse { text += String(format: " RMSE %.4g", error) }
        if let eta = status.etaSeconds, !status.isFinal { text += String(format: " ETA %.0f s", eta) }
        if let waiting = status.waiting { text += " (waits for \(waiting))" }
        return text
    }

    static func full(_ status: JobStatus) -> String {
        var lines = ["job \(status.id) \(status.name): \(status.stage)"]
        if let error = status.error { lines.append("  error: \(error)") }
        if let waiting = status.waiting { lines.append("  waits for \(waiting)") }
        lines.append("  files \(status.files), entries \(status.entries), workers \(status.workers)")
        if status.tasksAll > 0 {
            lines.append(
                "  tasks \(status.tasksDone) of \(status.tasksAll), \(number(status.eventsPerSecond)) events/s, "
                    + String(format: "%.1f MB/s", status.megabytesPerSecond))
        }
        for site in status.sites {
            lines.append(
                "    \(site.site): \(site.events) events, \(number(site.eventsPerSecond)) events/s, "
                    + String(format: "%.1f MB/s", site.megabytesPerSecond))
        }
        for metrics in status.metrics {
            let onTarget = metrics.validation.regression != nil
            lines.append(
                "  epoch \(metrics.epoch): \(text(metrics.train, onTarget: onTarget)), "
                    + "validation \(text(metrics.validation, onTarget: onTarget))")
        }
        if let test = status.test {
            if let regression = test.regression {
                lines.append("  test: \(text(regression)), \(test.events) events")
            } else {
                let accuracy = test.accuracy.map { String(format: "%.4f", $0) } ?? "undefined (no events)"
                lines.append("  test: AUC \(area(test.auc)), accuracy \(accuracy), \(test.events) events")
            }
            if let evaluation = status.evaluation {
                lines += self.lines(evaluation, epochs: status.metrics.count).map { "    " + $0 }
            }
        }
        for node in status.published { lines.append("  published to \(node)") }
        for note in status.notes.prefix(40) { lines.append("  note: \(note)") }
        if status.notes.count > 40 { lines.append("  and \(status.notes.count - 40) more notes (--json shows all)") }
        return lines.joined(separator: "\n")
    }
}
