import ArgumentParser
import Cluster
import Foundation

struct Submit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Submits a job.", discussion: "Example:\n  beamline submit job.yaml --wait")

    @Argument(help: "The job file (YAML).")
    var file: String

    @Flag(help: "Wait for the job's end and show its progress.")
    var wait = false

    @OptionGroup var options: ClientOptions

    func run() async throws {
        struct Submission: Encodable {
            var description: String
            var baseDirectory: String
        }
        struct Submitted: Decodable { var id: JobID }
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
            printError("cannot read the job file \(file)")
            throw ExitStatus.usage
        }
        let base = URL(filePath: file).standardizedFileURL.deletingLastPathComponent().path
        let body = try JSONEncoder().encode(Submission(description: text, baseDirectory: base))
        let submitted = try JSONDecoder().decode(
            Submitted.self, from: await options.client.data("POST", "/api/v1/jobs", body: body))
        print("job \(submitted.id)")
        if wait { try await Status.watch(submitted.id, options.client) }
    }
}

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows a job: stage, progress, rates, loss, AUC.", discussion: "Example:\n  beamline status 1 --watch"
    )

    @Argument(help: "The job's number.")
    var job: JobID

    @Flag(help: "Follow it to its end.")
    var watch = false

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var options: ClientOptions

    func run() async throws {
        if watch { return try await Self.watch(job, options.client) }
        let data = try await options.client.data("GET", "/api/v1/jobs/\(job)")
        if json { return print(String(decoding: data, as: UTF8.self)) }
        print(StatusText.full(try JSONDecoder().decode(JobStatus.self, from: data)))
    }

    /// A progress bar on a terminal, plain lines where the stage or the epoch changes otherwise.
    static func watch(_ id: JobID, _ client: RestClient) async throws {
        let terminal = isatty(STDOUT_FILENO) != 0
        var last = ""
        var misses = 0
        while true {
            let status: JobStatus
            do {
                status = try await client.get(JobStatus.self, "/api/v1/jobs/\(id)", quiet: misses > 0 && misses < 60)
                misses = 0
            } catch let code as ExitCode where code == ExitStatus.unreachable && misses < 60 {
                // A coordinator that is started again goes on with the job.
                misses += 1
                try await Task.sleep(for: .seconds(1))
                continue
            }
            if terminal {
                print("\r\u{1B}[K" + StatusText.bar(status), terminator: "")
            } else {
                let key = StatusText.milestone(status)
                if key != last { print(StatusText.bar(status)) }
                last = key
            }
            fflush(nil)
            if status.isFinal {
                if terminal { print("") }
                print(StatusText.full(status))
                if status.stage != .done { throw ExitStatus.jobFailed }
                return
            }
            try await Task.sleep(for: .milliseconds(300))
        }
    }
}

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
                "  tasks \(status.tasksDone) of \(status.tasksAll), \(number(status.eventsPerSecond)) events/s, \(String(format: "%.1f", status.megabytesPerSecond)) MB/s"
            )
        }
        for site in status.sites {
            lines.append(
                "    \(site.site): \(site.events) events, \(number(site.eventsPerSecond)) events/s, \(String(format: "%.1f", site.megabytesPerSecond)) MB/s"
            )
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

struct Jobs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the jobs.", discussion: "Example:\n  beamline jobs")

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let data = try await options.client.data("GET", "/api/v1/jobs")
        if json { return print(String(decoding: data, as: UTF8.self)) }
        let jobs = try JSONDecoder().decode([JobStatus].self, from: data)
        if jobs.isEmpty { print("no jobs yet; beamline submit job.yaml adds one") }
        for job in jobs { print("\(job.id)\t\(job.stage)\t\(job.name)\(job.error.map { "\t" + $0 } ?? "")") }
    }
}

struct Cancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Cancels a job.", discussion: "Example:\n  beamline cancel 1")

    @Argument(help: "The job's number.")
    var job: JobID

    @OptionGroup var options: ClientOptions

    func run() async throws {
        _ = try await options.client.data("DELETE", "/api/v1/jobs/\(job)")
        print("job \(job) is cancelled")
    }
}

struct SpecsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "specs", abstract: "Shows the statistics of a job's branches.",
        discussion: "Examples:\n  beamline specs 1\n  beamline specs 1 --format mlaas4hep > specs.json")

    @Argument(help: "The job's number.")
    var job: JobID

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: "mlaas4hep: JSON in MLaaS4HEP's layout.")
    var format: String?

    @OptionGroup var options: ClientOptions

    private struct Document: Decodable {
        struct Branch: Decodable {
            var name: String, kind: String, values: Int64, nonfinite: Int64
            var min: Double, max: Double, mean: Double, deviation: Double, multiplicity: Int64
        }
        var events: Int64
        var parts: [String: Int64]
        var branches: [Branch]
    }

    func validate() throws {
        guard format == nil || format == "mlaas4hep" else {
            throw ValidationError("--format: expected mlaas4hep; found \(format!)")
        }
    }

    func run() async throws {
        let data = try await options.client.data(
            "GET", "/api/v1/jobs/\(job)/specs" + (format.map { "?format=\($0)" } ?? ""))
        if json || format != nil { return print(String(decoding: data, as: UTF8.self)) }
        let document = try JSONDecoder().decode(Document.self, from: data)
        print(
            "\(document.events) events: train \(document.parts["train"] ?? 0), validation \(document.parts["validation"] ?? 0), test \(document.parts["test"] ?? 0)"
        )
        print(Self.row("branch", "kind", "values", "nonfinite", "mult", "min", "max", "mean", "deviation"))
        for b in document.branches {
            func real(_ value: Double) -> String { String(format: "%.6g", value) }
            print(
                Self.row(
                    b.name, b.kind, "\(b.values)", "\(b.nonfinite)", "\(b.multiplicity)", real(b.min), real(b.max),
                    real(b.mean), real(b.deviation)))
        }
    }

    private static func row(_ cells: String...) -> String {
        cells.enumerated().map { index, cell in
            let width = index == 0 ? 28 : 12
            let pad = String(repeating: " ", count: max(1, width - cell.count))
            return index < 2 ? cell + pad : pad + cell
        }.joined()
    }
}
