import ArgumentParser
import Cluster
import Foundation
import Models
import ServiceLifecycle
import Synchronization
import WorkerService

/// A worker as a service that remembers why it ended.
private final class WorkerRun: Service {
    private let worker: WorkerService
    private let result = Mutex(WorkerService.Ending.cancelled)

    init(_ worker: WorkerService) { self.worker = worker }

    var ending: WorkerService.Ending { result.withLock { $0 } }

    func run() async throws {
        let ending = try await worker.run()
        result.withLock { $0 = ending }
    }
}

struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "Runs a worker: it reads sites, computes specs, and trains.",
        discussion: "Example:\n  beamline worker --workers-address localhost:8081 --threads 4 --local-files /data")

    @Option(
        name: [.customLong("workers-address"), .customLong("coordinator")],
        help: """
            The coordinator's address for workers, host:port or [IPv6 address]:port; or the environment has it in \
            BEAMLINE_WORKERS_ADDRESS.
            """)
    var workersAddress = ProcessInfo.processInfo.environment["BEAMLINE_WORKERS_ADDRESS"] ?? "localhost:8081"

    @Option(help: "The name shown in status and logs.")
    var name = ProcessInfo.processInfo.hostName + "-" + String(ProcessInfo.processInfo.processIdentifier)

    @Option(help: "Threads that read and compute.")
    var threads = max(1, ProcessInfo.processInfo.activeProcessorCount)

    @Option(help: "A directory whose files this worker may read; may be repeated.")
    var localFiles: [String] = []

    @Flag(help: "Links below --local-files may lead out of these directories.")
    var followLinks = false

    @Option(
        help: """
            The address of this machine, or a name of it, at which other workers reach this one during training; it is \
            tried out before the worker joins.
            """)
    var host = "127.0.0.1"

    @Option(
        name: [.customLong("cache-mib"), .customLong("cache-megabytes")],
        help: "MiB of training samples kept in memory; beyond that, sites are read again.")
    var cacheMiB = 4096

    @Option(
        help: """
            The authority (PEM) that vouches for the coordinator: connects over TLS; or the environment has it in \
            BEAMLINE_TLS_AUTHORITY.
            """)
    var tlsAuthority: String?

    @Option(
        help:
            "A file with the token to join with, read at each connection; or the environment has it in BEAMLINE_TOKEN.")
    var tokenFile: String?

    @Option(help: "This worker's own sites file: its credentials and cache come before the coordinator's.")
    var sites: String?

    @Option(help: "Tasks whose bytes are fetched while others are computed.")
    var readAhead = 8

    @Option(
        name: [.customLong("memory-mib"), .customLong("memory-megabytes")],
        help: "MiB of stored bytes held at once, being fetched or waiting for a thread.")
    var memoryMiB = 1024

    @Option(
        help: "How gradients are summed: gloo, with the other workers; local, this worker trains alone or not at all.")
    var collective = Collective.gloo

    @Option(
        help: """
            Use at most these instructions of the processor, by default the best that it has. The model is the same, \
            bit for bit.
            """)
    var instructions: Instructions?

    /// How `up` distinguishes a worker that was drained from one that was stopped.
    @Option(help: .hidden)
    var drainedStatus: Int32 = 0
    static let drainedUnderUp: Int32 = 75

    enum Collective: String, ExpressibleByArgument, CaseIterable { case gloo, local }

    enum Instructions: String, ExpressibleByArgument, CaseIterable {
        case portable, avx2, avx512

        var set: InstructionSet {
            switch self {
            case .portable: .portable
            case .avx2: .avx2
            case .avx512: .avx512
            }
        }
    }

    func validate() throws {
        guard (0...4096).contains(readAhead) else {
            throw ValidationError("--read-ahead: expected 0 to 4096; found \(readAhead)")
        }
        guard HostAndPort(workersAddress) != nil else {
            throw ValidationError(
                "--workers-address: expected host:port, or [address]:port for an IPv6 address; found \(workersAddress)")
        }
        for directory in localFiles where !isDirectory(directory) {
            throw ValidationError("--local-files: expected a directory; found \(directory.debugDescription)")
        }
        guard threads > 0 else { throw ValidationError("--threads: expected at least 1; found \(threads)") }
        let tlsAuthority = tlsAuthority ?? ProcessInfo.processInfo.environment["BEAMLINE_TLS_AUTHORITY"]
        if let tlsAuthority, !FileManager.default.isReadableFile(atPath: tlsAuthority) {
            throw ValidationError("--tls-authority: cannot read \(tlsAuthority)")
        }
    }

    func run() async throws {
        guard let address = HostAndPort(workersAddress) else { throw ExitStatus.usage }
        var settings = WorkerService.Settings(
            coordinator: address, name: name, threads: threads,
            localRoots: localFiles.map { URL(filePath: $0).standardizedFileURL.path })
        if collective == .gloo {
            do { try settings.listen(at: host) } catch {
                printError("--host: \(error)")
                throw ExitStatus.usage
            }
        }
        settings.followsLinks = followLinks
        settings.catalog = try readSites(sites)
        settings.readAhead = readAhead
        settings.joinsRounds = collective == .gloo
        settings.authority = tlsAuthority ?? ProcessInfo.processInfo.environment["BEAMLINE_TLS_AUTHORITY"]
        let tokenFile = tokenFile
        settings.token = { try readToken(tokenFile) }
        settings.memoryBytes = max(16, memoryMiB) << 20
        settings.cacheBytes = max(1, cacheMiB) << 20
        if let instructions { InstructionSet.use(instructions.set) }
        let log = makeLogger(name)
        let worker = WorkerRun(WorkerService(settings, version: Beamline.version, log: log))
        try await runServices([worker], log: log)
        switch worker.ending {
        case .drained: throw ExitCode(drainedStatus)
        case .incompatible(let reason):
            printError("the coordinator and this worker cannot work together: \(reason)")
            throw ExitStatus.rejected
        case .cancelled: break
        }
    }
}
