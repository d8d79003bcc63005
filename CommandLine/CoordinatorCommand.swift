import Access
import ArgumentParser
import Bytes
import Cluster
import ConfigurationFiles
import CoordinatorService
import Foundation
import Ledger
import Logging
import Storage

/// The catalogue of a sites file; an empty one where none is named.
func readSites(_ path: String?) throws -> SiteCatalog {
    guard let path else { return SiteCatalog() }
    let text = try readUserFile(path, "sites file", limit: 8 << 20)
    do { return try SitesFile.parse(text) } catch {
        for mistake in error.mistakes { printError("\(path): \(mistake)") }
        throw ExitStatus.usage
    }
}

struct CoordinatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "coordinator",
        abstract: "Runs a coordinator: the ledger, the queue of jobs, the assignment of tasks to workers.",
        discussion: "Example:\n  beamline coordinator --state /var/lib/beamline")

    @Option(help: "The directory of the ledger; made where it does not exist.")
    var state = "beamline-state"

    @Option(help: "The address to listen on, IPv4 or IPv6.")
    var host = "127.0.0.1"

    @Option(help: "The port for workers (gRPC).")
    var workersPort = 8081

    @Option(help: "The port for people (REST).")
    var port = 8080

    @Option(help: "Seconds until a silent worker's tasks are assigned to others.")
    var lease = 10.0

    @Option(
        name: [.customLong("retry-timeout"), .customLong("patience")],  // The latter is an old spelling.
        help: "Seconds for which a task whose sites cannot be read at the moment is tried again before it fails.")
    var retryTimeout = 60.0

    @Option(help: "The sites file: named sites with endpoints, prefixes, limits, credentials.")
    var sites: String?

    @Option(
        help: """
            A certificate chain (PEM): workers and people then connect over TLS, with --tls-authority. 'beamline ca \
            init' makes one.
            """)
    var tlsCertificate: String?

    @Option(help: "The certificate's key (PEM).")
    var tlsKey: String?

    @Flag(
        help: """
            Asks for tokens on the loopback address too; on all others they are always asked for. 'beamline token \
            create' makes them.
            """)
    var requireTokens = false

    @OptionGroup var names: AllowedHosts

    @Flag(
        help: """
            Takes the state directory from a coordinator that still uses it: that one ends with an error, and this one \
            goes on.
            """)
    var takeover = false

    @Flag(
        help: """
            Goes on with the ledger as it is, though it is empty, or older than what lies beside it: once, after a \
            backup was put back, or to begin with a new one.
            """)
    var acceptLedger = false

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
        var settings = Coordinator.Settings(state: URL(filePath: state))
        settings.scheduling.leaseSeconds = lease
        settings.scheduling.retrySeconds = retryTimeout
        settings.catalog = try readSites(sites)
        settings.version = Beamline.version
        var listening = Listening(host: host, workersPort: workersPort, restPort: port)
        listening.allowedHosts = names.allowedHosts
        if let tlsCertificate, let tlsKey {
            listening.certificate = ServerCertificate(chain: tlsCertificate, key: tlsKey)
            settings.bearerToken = { try Credentials().token()?.text }
        }
        (settings.takesOver, settings.acceptsLedger) = (takeover, acceptLedger)
        // A limit on the size of files is an error of the ledger's, like a full disk.
        signal(SIGXFSZ, SIG_IGN)
        let isLoopback = host == "localhost" || host.hasPrefix("127.") || host == "::1"
        if requireTokens || !isLoopback {
            let tokens = TokenStore(state: settings.state)
            listening.tokens = tokens
            if tokens.list().isEmpty {
                log.warning(
                    """
                    tokens are asked for and there is none yet: make them with 'beamline token create --state \
                    \(state)'
                    """
                )
            }
            if listening.certificate == nil, !isLoopback {
                log.warning(
                    """
                    tokens and data travel in the clear on \(host): 'beamline ca init' makes what --tls-certificate \
                    needs
                    """
                )
            }
        }
        let coordinator = try open(settings, listening, log)
        let services: Result<Void, any Error>
        do {
            services = .success(try await runServices(coordinatorServices(coordinator, listening, log: log), log: log))
        } catch { services = .failure(error) }
        await coordinator.close()
        do { try services.get() } catch let failure as LedgerFailure where failure == .takenOver {
            printError("\(failure); this coordinator ends")
            throw ExitStatus.rejected
        }
    }

    /// The ports first, then the state directory, then the ledger's new life: a coordinator that cannot listen, or
    /// finds another one there, disturbs nobody.
    private func open(_ settings: Coordinator.Settings, _ listening: Listening, _ log: Logger) throws -> Coordinator {
        var portFailure: InputError?
        // Of a coordinator that is taken over they become free when it ends.
        if !takeover { do throws(InputError) { try listening.checkPorts() } catch { portFailure = error } }
        if let portFailure {
            // Most often it is a coordinator of the same directory, and its process explains more.
            let known = StateLock.owner(of: settings.state)
            printError("\(portFailure)" + (known.map { "; a coordinator uses \(state): \($0)" } ?? ""))
            throw ExitStatus.rejected
        }
        do {
            let coordinator = try Coordinator(settings, log: log)
            if takeover { try listening.checkPorts() }
            return coordinator
        } catch {
            printError("cannot open the ledger in \(state): \(error)")
            throw ExitStatus.rejected
        }
    }
}
