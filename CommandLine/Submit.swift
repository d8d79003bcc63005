import ArgumentParser
import Foundation
import RestInterface

/// `beamline submit`.
struct Submit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Submits a job.", discussion: "Example:\n  beamline submit job.yaml --wait")

    @Argument(help: "The job file (YAML).")
    var file: String

    @Flag(help: "Wait for the job's end and show its progress.")
    var wait = false

    @OptionGroup var options: ClientOptions

    func run() async throws {
        // 8 MiB is what a coordinator takes.
        let text = try readUserFile(file, "job file", limit: 8 << 20)
        let base = URL(filePath: file).standardizedFileURL.deletingLastPathComponent().path
        var submission = JobSubmission(description: text, baseDirectory: base)
        submission.homeDirectory = ProcessInfo.processInfo.environment["HOME"]
        let body = try RestJSON.encode(submission)
        try await options.withClient { client in
            let job = try client.decode(
                SubmittedJob.self, from: await client.data("POST", RestPath.jobs, body: body))
            print("job \(job.id)")
            if wait { try await Status.watch(job.id, client, asJSON: false) }
        }
    }
}
