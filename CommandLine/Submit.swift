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
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
            printError("cannot read the job file \(file)")
            throw ExitStatus.usage
        }
        let base = URL(filePath: file).standardizedFileURL.deletingLastPathComponent().path
        let body = try RestJSON.encode(JobSubmission(description: text, baseDirectory: base))
        try await options.withClient { client in
            let job = try client.decode(
                SubmittedJob.self, from: await client.data("POST", RestPath.jobs, body: body))
            print("job \(job.id)")
            if wait { try await Status.watch(job.id, client, asJSON: false) }
        }
    }
}
