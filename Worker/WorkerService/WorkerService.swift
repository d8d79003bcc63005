import Bytes
import Cluster
import Dispatch
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Logging
import Pipeline
import Storage
import Wire

/// A worker: a session with the coordinator, kept up for as long as the process lives, and threads that do what is lent.
package struct WorkerService: Sendable {
    package struct Settings: Sendable {
        package var coordinatorHost: String
        package var coordinatorPort: Int
        package var name: String
        package var threads: Int
        package var localRoots: [String]
        /// Bytes of feature rows kept in memory during training.
        package var cacheBytes = 4 << 30
        /// Tasks whose bytes are fetched beside those that the threads compute.
        package var readAhead = 8
        /// The certificate authority, a PEM file, that vouches for the coordinator; nil for a connection without TLS.
        package var authority: String?
        /// Stored bytes held at once, on their way or waiting for a thread.
        package var memoryBytes = 1 << 30
        /// The worker's own sites file.
        package var catalog = SiteCatalog()
        /// The address that other workers reach this one at during training.
        package var host = "127.0.0.1"

        package init(coordinatorHost: String, coordinatorPort: Int, name: String, threads: Int, localRoots: [String]) {
            self.coordinatorHost = coordinatorHost
            self.coordinatorPort = coordinatorPort
            self.name = name
            self.threads = threads
            self.localRoots = localRoots
        }
    }

    let settings: Settings
    let version: String
    let log: Logger
    private let threads: TaskThreads
    private let intake: Intake

    package init(_ settings: Settings, version: String, log: Logger) {
        self.settings = settings
        self.version = version
        self.log = log
        threads = TaskThreads(settings.threads + settings.readAhead)
        intake = Intake(SiteBoard(settings.catalog), threads: settings.threads, memoryBytes: settings.memoryBytes)
    }

    /// Connects, works, and connects again when the coordinator went away. Returns when cancelled.
    package func run() async throws {
        let outbox = Outbox()
        let trainer = TrainingRunner(settings: settings, intake: intake, outbox: outbox, log: log)
        while !Task.isCancelled {
            do {
                try await session(outbox, trainer)
                log.warning("the coordinator closed the session; connecting again")
            } catch {
                log.warning("no session with the coordinator at \(settings.coordinatorHost):\(settings.coordinatorPort): \(error); trying again")
            }
            trainer.stop()
            try await Task.sleep(for: .milliseconds(500))
        }
    }

    private func session(_ outbox: Outbox, _ trainer: TrainingRunner) async throws {
        let security: HTTP2ClientTransport.Posix.TransportSecurity = settings.authority.map { path in
            .tls { $0.trustRoots = .certificates([.file(path: path, format: .pem)]) }
        } ?? .plaintext
        let transport = try HTTP2ClientTransport.Posix(
            target: .dns(host: settings.coordinatorHost, port: settings.coordinatorPort), transportSecurity: security)
        try await withGRPCClient(transport: transport) { client in
            let workers = Beamline_Workers.Client(wrapping: client)
            let blobs = BlobClient(workers: workers)
            let (messages, continuation) = AsyncStream.makeStream(of: Beamline_Envelope.self)
            let hello = WorkerMessage.hello(
                name: settings.name, threads: settings.threads, readAhead: settings.readAhead, localRoots: settings.localRoots, version: version)
            continuation.yield(try WireCoding.envelope(hello))
            outbox.connect(continuation)
            defer { outbox.disconnect() }
            try await workers.session { writer in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { for await message in messages { try await writer.write(message) } }
                    group.addTask {
                        while !Task.isCancelled {
                            try await Task.sleep(for: .seconds(1))
                            outbox.renew()
                            intake.board.checkCredentials()
                            outbox.send(.sites(intake.board.reports()))
                        }
                    }
                    defer { group.cancelAll() }
                    try await group.next()
                }
            } onResponse: { response in
                defer { continuation.finish() }
                for try await envelope in response.messages {
                    let message = try WireCoding.value(CoordinatorMessage.self, envelope.body)
                    handle(message, [UInt8](envelope.payload), outbox, trainer, blobs)
                }
            }
        }
    }

    private func handle(_ message: CoordinatorMessage, _ payload: [UInt8], _ outbox: Outbox, _ trainer: TrainingRunner, _ blobs: BlobClient) {
        switch message {
        case .welcome(let id, _): log.info("joined as worker \(id)")
        case .lease(let lease, let body):
            outbox.hold(lease)
            threads.run { work(lease, body, outbox) }
        case .acknowledged(let lease): outbox.acknowledged(lease)
        case .refused(let lease, let reason):
            log.warning("a receipt was refused: \(reason)")
            outbox.acknowledged(lease)
        case .startRound(let order): trainer.start(order, blobs)
        case .stopRound(let round): trainer.stop(round: round)
        case .catalog(let catalog):
            intake.board.adopt(catalog)
            if let failure = intake.board.cacheFailure { log.warning("\(failure)") }
        case .sites(let directives): intake.board.apply(directives)
        case .credential:
            // Over an open connection it was not sent by a coordinator of ours.
            guard settings.authority != nil else { return }
            intake.board.lend(token: payload.isEmpty ? nil : String(decoding: payload, as: UTF8.self))
        case .rendezvous(let round, let key): trainer.rendezvous(round: round, key: key, value: payload)
        }
    }

    private func work(_ lease: LeaseName, _ body: TaskBody, _ outbox: Outbox) {
        let reader = BlockReader(intake, localRoots: settings.localRoots)
        let started = DispatchTime.now().uptimeNanoseconds
        var specs: [UInt8] = []
        let result: TaskResult
        do throws(FormatError) {
            switch body {
            case .list(let pattern): result = .listed(try reader.list(pattern))
            case .survey(let file, let tree, let verify): result = .surveyed(try reader.survey(file, tree: tree, verify: verify))
            case .chunk(let task):
                let counted = try reader.specs(task)
                specs = counted.specs
                result = .counted(bytesRead: counted.bytesRead, seconds: Double(DispatchTime.now().uptimeNanoseconds - started) / 1e9)
            }
        } catch {
            log.warning("task \(lease.task): \(error)")
            result = .failed(reason: error.description, transient: error.code.isTransient)
        }
        outbox.send(lease, result, specs)
    }
}
