import ArgumentParser
import Bytes
import Cluster
import Features
import Foundation
import RestInterface

/// `beamline samples`.
struct SamplesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "samples", abstract: "Writes the samples that a job trains on, for other tools.",
        discussion: """
            Reads the job's files again, on this machine, and writes DIRECTORY/train-00000.npz and so on. They have \
            the model's inputs as training sees them (padded, normalised, with masks), and for each sample its label \
            or target, weight, entry and file, in the order of the files and their entries. numpy.load opens them.

            The job must have begun to train. A file is read from its replicas, with the credentials that a worker \
            would use here; one that was replaced since the job read it is an error.

            Examples:
              beamline samples 1 --part train --part validation --output samples
              beamline samples 1 --part all --output samples --raw --sites sites.yaml
            """)

    @Argument(help: "The job's number.")
    var job: JobID

    @Option(help: "train, validation, test, or all; may be repeated.")
    var part: [Part] = []

    @Option(help: "The directory to write to; made where it does not exist.")
    var output: String

    @Option(help: "npz: NumPy's archives of arrays.")
    var format = Format.npz

    @Flag(help: "Write the padded values before normalisation; missing ones are NaN.")
    var raw = false

    @Option(help: "Samples in one file at most. They are held in memory until the file is written.")
    var samplesPerFile = 100_000

    @Flag(help: "First remove what the directory has of these parts; without it that is an error.")
    var force = false

    @Option(help: "A sites file: replicas, limits, credentials, cache.")
    var sites: String?

    @Option(help: "Threads that decode and compute.")
    var threads = max(1, ProcessInfo.processInfo.activeProcessorCount)

    @Option(help: "Blocks whose bytes are fetched while others are computed.")
    var readAhead = 8

    @Option(
        name: .customLong("memory-mib"),
        help: "MiB of stored bytes held at once, being fetched or waiting for a thread.")
    var memoryMiB = 1024

    @OptionGroup var options: ClientOptions

    /// A part of the split, or all of them.
    enum Part: String, ExpressibleByArgument, CaseIterable {
        case train, validation, test, all

        var parts: [SplitPart] {
            switch self {
            case .train: [.train]
            case .validation: [.validation]
            case .test: [.test]
            case .all: SplitPart.allCases
            }
        }
    }

    enum Format: String, ExpressibleByArgument, CaseIterable { case npz }

    func validate() throws {
        guard !part.isEmpty else {
            throw ValidationError("--part: expected train, validation, test or all; found none")
        }
        guard (1...100_000_000).contains(samplesPerFile) else {
            throw ValidationError("--samples-per-file: expected 1 to 100000000; found \(samplesPerFile)")
        }
        guard (1...1024).contains(threads) else {
            throw ValidationError("--threads: expected 1 to 1024; found \(threads)")
        }
        guard (0...4096).contains(readAhead) else {
            throw ValidationError("--read-ahead: expected 0 to 4096; found \(readAhead)")
        }
        guard (16...1 << 30).contains(memoryMiB) else {
            throw ValidationError("--memory-mib: expected 16 to \(1 << 30); found \(memoryMiB)")
        }
    }

    func run() async throws {
        let wanted = Set(part.flatMap(\.parts))
        let catalog = try readSites(sites)
        let plan = try await options.withClient { client in
            try client.decode(DataPlan.self, from: await client.data("GET", RestPath.plan(job: job)))
        }
        var export = SampleExport(
            plan: plan, parts: SplitPart.allCases.filter(wanted.contains), directory: output, catalog: catalog)
        export.isRaw = raw
        export.samplesPerFile = samplesPerFile
        export.replaces = force
        export.threads = threads
        export.readAhead = readAhead
        export.memoryBytes = memoryMiB << 20
        // Reading waits for sites: it has a thread that is not of the cooperative pool.
        let written = try await withCheckedThrowingContinuation {
            [export] (continuation: CheckedContinuation<[SampleExport.Written], any Error>) in
            Thread.detachNewThread { continuation.resume(with: Result { try export.run() }) }
        }
        let files = written.reduce(0) { $0 + $1.files }
        let parts = written.map { "\($0.samples) \($0.part)" }.joined(separator: ", ")
        print("\(output): \(parts) samples in \(files) file\(files == 1 ? "" : "s")")
    }
}
