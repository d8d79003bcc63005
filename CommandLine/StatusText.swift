import Cluster
import Foundation

/// A job's status as text.
enum StatusText {
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
        if let loss = status.loss { text += String(format: " loss %.4f", loss) }
        if let auc = status.metrics.last?.validation.auc { text += String(format: " AUC %.4f", auc) }
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
            lines.append(
                String(
                    format: "  epoch %d: loss %.5f AUC %.5f, validation loss %.5f AUC %.5f", metrics.epoch,
                    metrics.train.loss, metrics.train.auc,
                    metrics.validation.loss, metrics.validation.auc))
        }
        if let test = status.test {
            lines.append(
                String(format: "  test: AUC %.5f, accuracy %.4f, %ld events", test.auc, test.accuracy, Int(test.events))
            )
        }
        for node in status.published { lines.append("  published to \(node)") }
        for note in status.notes.prefix(40) { lines.append("  note: \(note)") }
        if status.notes.count > 40 { lines.append("  and \(status.notes.count - 40) more notes (--json shows all)") }
        return lines.joined(separator: "\n")
    }
}
