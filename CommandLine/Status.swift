import ArgumentParser
import Cluster
import Foundation
import RestInterface

/// `beamline status`.
struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows a job: stage, progress, rates, loss, AUC.",
        discussion: """
            With --watch and --json each change is a line of JSON.

            Example:
              beamline status 1 --watch
            """)

    @Argument(help: "The job's number.")
    var job: JobID

    @Flag(help: "Follow it to its end; the exit code is 0 where the job is done, 1 where it failed or was cancelled.")
    var watch = false

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var options: ClientOptions

    func run() async throws {
        try await options.withClient { client in
            if watch { return try await Self.watch(job, client, asJSON: json) }
            let data = try await client.data("GET", RestPath.job(job))
            if json { return print(String(decoding: data, as: UTF8.self)) }
            print(StatusText.full(try client.decode(JobStatus.self, from: data)))
        }
    }

    /// Follows a job to its end: a progress bar on a terminal, elsewhere a line where the stage or the epoch changes;
    /// or lines of JSON.
    /// - Throws: `ExitStatus.jobFailed` where the job ends otherwise than done.
    static func watch(_ id: JobID, _ client: RestClient, asJSON: Bool) async throws {
        var display = Display(asJSON: asJSON)
        var misses = 0
        while true {
            let data: Data
            do {
                data = try await client.data("GET", RestPath.job(id), isQuiet: misses > 0 && misses < 60)
                misses = 0
            } catch let code as ExitCode where code == ExitStatus.unreachable && misses < 60 {
                // A coordinator that is started again goes on with the job.
                misses += 1
                try await Task.sleep(for: .seconds(1))
                continue
            }
            let status = try client.decode(JobStatus.self, from: data)
            display.show(status, data)
            if status.isFinal {
                if status.stage != .done { throw ExitStatus.jobFailed }
                return
            }
            try await Task.sleep(for: .milliseconds(300))
        }
    }

    /// What was shown last, and how the next is shown.
    private struct Display {
        let asJSON: Bool
        let isTerminal = isatty(STDOUT_FILENO) != 0
        var last = ""

        init(asJSON: Bool) { self.asJSON = asJSON }

        /// - Parameter data: the status as it came.
        mutating func show(_ status: JobStatus, _ data: Data) {
            if asJSON {
                let line = String(decoding: data, as: UTF8.self)
                if line != last { print(line) }
                last = line
            } else if isTerminal {
                print("\r\u{1B}[K" + StatusText.bar(status), terminator: status.isFinal ? "\n" : "")
            } else {
                let milestone = StatusText.milestone(status)
                if milestone != last { print(StatusText.bar(status)) }
                last = milestone
            }
            if status.isFinal, !asJSON { print(StatusText.full(status)) }
            fflush(nil)
        }
    }
}
