import ArgumentParser
import Cluster
import Foundation
import RestInterface

/// `beamline fetch`.
struct Fetch: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Saves a job's finished model, and what of it depends on where it ran.",
        discussion: """
            Writes DIRECTORY/bundle.tar, whose bytes depend on the job and the data alone, and run.json: the workers \
            of its training rounds, their instruction sets, times and versions.

            Example:
              beamline fetch 1 --directory model
            """)

    @Argument(help: "The job's number.")
    var job: JobID

    @Option(help: "Where the files are written; made where it does not exist.")
    var directory = "."

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let (record, bundle) = try await options.withClient { client in
            (
                try await client.data("GET", RestPath.run(job: job)),
                try await client.data("GET", RestPath.bundle(job: job))
            )
        }
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            for (name, data) in [("bundle.tar", bundle), ("run.json", record)] {
                let path = URL(filePath: directory).appending(path: name)
                try data.write(to: path, options: .atomic)
                print(path.path)
            }
        } catch {
            printError("cannot write to \(directory): \(error.localizedDescription)")
            throw ExitStatus.rejected
        }
    }
}
