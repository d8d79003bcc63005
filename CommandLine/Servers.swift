import Access
import ArgumentParser
import Cluster
import ConfigurationFiles
import CoordinatorService
import Foundation
import Logging
import Storage
import WorkerService

func makeLogger(_ label: String) -> Logger {
    LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
    var log = Logger(label: label)
    log.logLevel = .info
    return log
}

/// Stops the process's work on Ctrl-C or TERM.
/// - Parameter before: done first, when a signal came.
func runUntilSignalled(
    before ending: @escaping @Sendable () async -> Void = {}, _ body: @escaping @Sendable () async throws -> Void
) async throws {
    let (signals, continuation) = AsyncStream.makeStream(of: Int32.self)
    let sources = [SIGINT, SIGTERM].map { number in
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler { continuation.yield(number) }
        source.resume()
        return source
    }
    defer { sources.forEach { $0.cancel() } }
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await body() }
        group.addTask { for await _ in signals { return await ending() } }
        try await group.next()
        // Nothing needs saving: what was acknowledged is in the ledger.
        group.cancelAll()
        Foundation.exit(0)
    }
}

/// The catalogue of a sites file; an empty one where none is named.
func readSites(_ path: String?) throws -> SiteCatalog {
    guard let path else { return SiteCatalog() }
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
        printError("cannot read the sites file \(path)")
        throw ExitStatus.usage
    }
    do { return try SitesFile.parse(text) } catch {
        for mistake in error.mistakes { printError("\(path): \(mistake)") }
        throw ExitStatus.usage
    }
}

struct CoordinatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "coordinator", abstract: "Runs a coordinator: the ledger, the queue of jobs, the lending of work.",
        discussion: "Example:\n  beamline coordinator --state /var/lib/beamline")

    @Option(help: "The directory of the ledger; made where it does not exist.")
    var state = "beamline-state"

    @Option(help: "The address to listen on.")
    var host = "127.0.0.1"

    @Option(help: "The port for workers (gRPC).")
    var workersPort = 8081

    @Option(help: "The port for people (REST).")
    var port = 8080

    @Option(help: "Seconds until a silent worker's tasks are lent anew.")
    var lease = 10.0

    @Option(help: "Seconds for which a task that no site gives at the moment is tried again before it fails.")
    var patience = 60.0

    @Option(help: "The sites file: named sites with endpoints, prefixes, limits, credentials.")
    var sites: String?

    @Option(
        help:
            "A certificate chain (PEM): workers and people then connect over TLS, with --tls-authority. 'beamline ca init' makes one."
    )
    var tlsCertificate: String?

    @Option(help: "The certificate's key (PEM).")
    var tlsKey: String?

    @Flag(
        help:
            "Asks for tokens on the loopback address too; on all others they are always asked for. 'beamline token create' makes them."
    )
    var requireTokens = false

    func validate() throws {
        guard (tlsCertificate == nil) == (tlsKey == nil) else {
            throw ValidationError("--tls-certificate and --tls-key are given together")
        }
        for path in [tlsCertificate, tlsKey].compactMap({ $0 }) where !FileManager.default.isReadableFile(atPath: path)
        {
            throw ValidationError("cannot read \(path)")
        }
    }

    func run() async throws {
        let log = makeLogger("coordinator")
        let catalog = try readSites(sites)
        let certificate = tlsCertificate.map { ServerCertificate(chain: $0, key: tlsKey!) }
        var token: (@Sendable () throws -> String?)?
        if certificate != nil { token = { try Credentials().token()?.text } }
        let coordinator: Coordinator
        var settings = Coordinator.Settings(state: URL(filePath: state))
        settings.scheduling.leaseSeconds = lease
        settings.scheduling.retrySeconds = patience
        settings.catalog = catalog
        settings.version = Beamline.version
        settings.bearerToken = token
        do { coordinator = try Coordinator(settings, log: log) } catch {
            printError("cannot open the ledger in \(state): \(error)")
            throw ExitStatus.refused
        }
        // A limit on the size of files is an error of the ledger's, like a full disk.
        signal(SIGXFSZ, SIG_IGN)
        var listening = Listening(host: host, workersPort: workersPort, restPort: port, certificate: certificate)
        let isLoopback = host == "localhost" || host.hasPrefix("127.") || host == "::1"
        if requireTokens || !isLoopback {
            let tokens = TokenStore(state: settings.state)
            listening.tokens = tokens
            if tokens.list().isEmpty {
                log.warning(
                    "tokens are asked for and there is none yet: make them with 'beamline token create --state \(state)'"
                )
            }
            if certificate == nil, !isLoopback {
                log.warning(
                    "tokens and data travel in the clear on \(host): 'beamline ca init' makes what --tls-certificate needs"
                )
            }
        }
        let final = listening
        try await runUntilSignalled { try await runCoordinator(coordinator, final, log: log) }
    }
}

/// The numbers of the open files.
func openFiles() -> Set<Int32> {
    Set(((try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []).compactMap { Int32($0) })
}

/// Replaces this process by itself, with other kernels: OpenBLAS chooses them once, when it is loaded.
/// - Parameter inherited: the files that its parent gave it, and may watch.
func startAnew(kernels: String, inherited: Set<Int32>) throws {
    setenv("OPENBLAS_CORETYPE", kernels, 1)
    setenv(WorkerService.ownKernelsVariable, WorkerService.ownKernels.text, 1)
    for number in openFiles().subtracting(inherited) { _ = fcntl(number, F_SETFD, FD_CLOEXEC) }
    var none = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, nil)
    var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) } + [nil]
    execv("/proc/self/exe", &arguments)
    throw POSIXError(.init(rawValue: errno) ?? .EIO)
}

struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "Runs a worker: it reads sites, computes specs, and trains.",
        discussion: "Example:\n  beamline worker --coordinator localhost:8081 --threads 4 --local-files /data")

    @Option(help: "The coordinator's host:port for workers.")
    var coordinator = "localhost:8081"

    @Option(help: "The name shown in status and logs.")
    var name = ProcessInfo.processInfo.hostName + "-" + String(ProcessInfo.processInfo.processIdentifier)

    @Option(help: "Threads that read and compute.")
    var threads = max(1, ProcessInfo.processInfo.activeProcessorCount)

    @Option(help: "A directory whose files this worker may read; may be repeated.")
    var localFiles: [String] = []

    @Option(help: "The address at which other workers reach this one during training.")
    var host = "127.0.0.1"

    @Option(help: "MiB of feature rows kept in memory during training; beyond that, sites are read again.")
    var cacheMegabytes = 4096

    @Option(help: "The authority (PEM) that vouches for the coordinator: connects over TLS.")
    var tlsAuthority: String?

    @Option(
        help:
            "A file with the token to join with, read at each connection; or the environment has it in BEAMLINE_TOKEN.")
    var tokenFile: String?

    @Option(help: "This worker's own sites file: its credentials and cache come before the coordinator's.")
    var sites: String?

    @Option(help: "Tasks whose bytes are fetched while others are computed.")
    var readAhead = 8

    @Option(help: "MiB of stored bytes held at once, on their way or waiting for a thread.")
    var memoryMegabytes = 1024

    @Option(
        help: "How gradients are summed: gloo, with the other workers; local, this worker trains alone or not at all.")
    var collective = Collective.gloo

    /// How `up` tells a worker that was drained from one that was stopped.
    @Option(help: .hidden)
    var drainedStatus: Int32 = 0
    static let drainedUnderUp: Int32 = 75

    enum Collective: String, ExpressibleByArgument, CaseIterable { case gloo, local }

    func validate() throws {
        guard (0...4096).contains(readAhead) else {
            throw ValidationError("--read-ahead: expected 0 to 4096; found \(readAhead)")
        }
        guard coordinator.split(separator: ":").count == 2, Int(coordinator.split(separator: ":")[1]) != nil else {
            throw ValidationError("--coordinator: expected host:port; found \(coordinator)")
        }
        guard threads > 0 else { throw ValidationError("--threads: expected at least 1; found \(threads)") }
    }

    func run() async throws {
        let inherited = openFiles()
        let parts = coordinator.split(separator: ":")
        var settings = WorkerService.Settings(
            coordinatorHost: String(parts[0]), coordinatorPort: Int(parts[1])!, name: name, threads: threads,
            localRoots: localFiles.map { URL(filePath: $0).standardizedFileURL.path })
        settings.host = host
        settings.catalog = try readSites(sites)
        settings.readAhead = readAhead
        settings.joinsRounds = collective == .gloo
        settings.authority = tlsAuthority
        let tokenFile = tokenFile
        settings.token = { try readToken(tokenFile) }
        settings.memoryBytes = max(16, memoryMegabytes) << 20
        settings.cacheBytes = max(1, cacheMegabytes) << 20
        let drained = drainedStatus
        let worker = WorkerService(settings, version: Beamline.version, log: makeLogger(name))
        try await runUntilSignalled(before: { await worker.leave() }) {
            switch try await worker.run() {
            case .restart(let kernels): try startAnew(kernels: kernels, inherited: inherited)
            case .drained: Foundation.exit(drained)
            case .cancelled: break
            }
        }
    }
}
