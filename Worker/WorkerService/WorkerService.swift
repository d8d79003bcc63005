package import Bytes
package import Cluster
import Collectives
import Dispatch
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
package import Logging
import Models
import Pipeline
import ServiceLifecycle
import Storage
import Synchronization
import Wire

/// A worker: a session with the coordinator, kept up for as long as the process lives, and threads that do what is
/// assigned.
package struct WorkerService: Sendable {
    /// How a worker is set up when its process starts.
    package struct Settings: Sendable {
        /// The coordinator's address for workers.
        package var coordinator: HostAndPort
        package var name: String
        package var threads: Int
        package var localRoots: [String]
        /// Links below these directories may lead out of them.
        package var followsLinks = false
        /// Bytes of feature rows kept in memory during training.
        package var cacheBytes = 4 << 30
        /// Tasks whose bytes are fetched beside those that the threads compute.
        package var readAhead = 8
        /// The certificate authority, a PEM file, that vouches for the coordinator; nil for a connection without TLS.
        package var authority: String?
        /// The token to join with, asked for at each connection; nil where the coordinator asks for none.
        package var token: @Sendable () throws -> String? = { nil }
        /// Stored bytes held at once, on their way or waiting for a thread.
        package var memoryBytes = 1 << 30
        /// The worker's own sites file.
        package var catalog = SiteCatalog()
        /// Takes part in training rounds with others.
        package var joinsRounds = true
        /// The address that other workers reach this one at during training.
        package private(set) var host = "127.0.0.1"

        package init(coordinator: HostAndPort, name: String, threads: Int, localRoots: [String]) {
            self.coordinator = coordinator
            self.name = name
            self.threads = threads
            self.localRoots = localRoots
        }

        /// Sets the address that other workers reach this one at, once it is certain that this machine listens there.
        ///
        /// - Parameter host: a name, which is resolved, or an IP address.
        /// - Throws: `InputError` with `.input` where it does not resolve, or is no address of this machine.
        package mutating func listen(at host: String) throws(InputError) { self.host = try MemberAddress.resolve(host) }
    }

    let settings: Settings
    let version: String
    let log: Logger
    private let threads: TaskThreads
    private let resources: ReadResources
    private let outbox = Outbox()
    private let wanted = Wanted()
    private let process = UUID().uuidString
    private let siteQueue = DispatchQueue(label: "beamline.sites")

    /// Why the worker is to end.
    private final class Wanted: Sendable {
        private let ending = Mutex<Ending?>(nil)
        var value: Ending? { ending.withLock { $0 } }
        func set(_ wanted: Ending) { ending.withLock { $0 = wanted } }
    }

    /// Why a worker's work is over.
    package enum Ending: Sendable {
        case drained, cancelled
        /// The coordinator and this worker cannot work together, in a sentence.
        case incompatible(reason: String)
    }

    package init(_ settings: Settings, version: String, log: Logger) {
        self.settings = settings
        self.version = version
        self.log = log
        threads = TaskThreads(settings.threads + settings.readAhead)
        resources = ReadResources(
            SiteBoard(settings.catalog), threads: settings.threads, memoryBytes: settings.memoryBytes)
    }

    /// Connects, works, and connects again when the coordinator went away. Returns when cancelled, drained, or shut
    /// down gracefully: then the coordinator knows what was given back.
    package func run() async throws -> Ending {
        try await withGracefulShutdownHandler {
            try await keepSession()
        } onGracefulShutdown: {
            outbox.close()
        }
    }

    private func keepSession() async throws -> Ending {
        let trainer = TrainingRunner(settings: settings, resources: resources, outbox: outbox, log: log)
        while !Task.isCancelled {
            var failure: (any Error)?
            do { try await session(trainer) } catch { failure = error }
            if outbox.isDrained {
                log.info("drained: nothing is left to do here")
                return .drained
            }
            if let ending = wanted.value { return ending }
            if let rejection = failure as? RPCError, rejection.code == .failedPrecondition {
                return .incompatible(reason: rejection.message)
            }
            if outbox.isClosed { break }
            if let failure {
                let reason = "\(failure)".shortened(to: 2000)
                log.warning("no session with the coordinator at \(settings.coordinator): \(reason); trying again")
            } else {
                log.warning("the coordinator closed the session; connecting again")
            }
            trainer.stop()
            try await Task.sleep(for: .milliseconds(500))
        }
        return .cancelled
    }

    private func session(_ trainer: TrainingRunner) async throws {
        let security: HTTP2ClientTransport.Posix.TransportSecurity =
            settings.authority.map { path in
                .tls { $0.trustRoots = .certificates([.file(path: path, format: .pem)]) }
            } ?? .plaintext
        let (host, port) = (settings.coordinator.host, settings.coordinator.port)
        let target: any ResolvableTarget =
            host.contains(":") ? .ipv6(address: host, port: port) : .dns(host: host, port: port)
        let transport = try HTTP2ClientTransport.Posix(
            target: target, transportSecurity: security,
            config: .defaults {
                $0.connection.keepalive = .init(time: .seconds(20), timeout: .seconds(20), allowWithoutCalls: true)
            })
        try await withGRPCClient(transport: transport, interceptors: [TokenInterceptor(token: try settings.token())]) {
            client in
            let workers = Beamline_Workers.Client(wrapping: client)
            let blobs = BlobClient(workers: workers)
            let (messages, continuation) = AsyncStream.makeStream(of: Outbox.Outgoing.self)
            var request = JoinRequest(
                name: settings.name, threads: settings.threads, readAhead: settings.readAhead,
                localRoots: settings.localRoots, version: version)
            request.joinsRounds = settings.joinsRounds
            (request.instructionSet, request.process) = (InstructionSet.current.name, process)
            request.memoryBytes = ProcessMemory.limit
            continuation.yield(Outbox.Outgoing(message: .join(request)))
            outbox.connect(continuation)
            defer { outbox.disconnect() }
            var options = CallOptions.defaults
            (options.maxRequestMessageBytes, options.maxResponseMessageBytes) = (
                WireCoding.messageLimit, WireCoding.messageLimit
            )
            try await workers.session(options: options) { writer in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await write(messages, to: writer) }
                    group.addTask { try await heartbeat() }
                    group.addTask { try await report() }
                    defer { group.cancelAll() }
                    try await group.next()
                }
            } onResponse: { response in
                defer { continuation.finish() }
                var reader = WireCoding.CoordinatorReader()
                for try await envelope in response.messages {
                    for message in try reader.messages(envelope) {
                        await handle(message, [UInt8](envelope.payload), trainer, blobs)
                    }
                    // The coordinator has nothing more to send to one that has left: its end of the session follows.
                    if outbox.isDrained { outbox.close() }
                }
            }
        }
    }

    /// Encodes and writes what is to be sent, until the stream ends. A message that cannot be encoded is left out.
    private func write(_ messages: AsyncStream<Outbox.Outgoing>, to writer: RPCWriter<Beamline_Envelope>) async throws {
        for await message in messages {
            let envelope: Beamline_Envelope
            do { envelope = try message.envelope() } catch {
                log.error("a message cannot be encoded and is not sent: \(error)")
                continue
            }
            try await writer.write(envelope)
        }
    }

    /// Sends every second what the worker holds, whatever its disks do.
    private func heartbeat() async throws {
        while !Task.isCancelled {
            try await Task.sleep(for: .seconds(1))
            outbox.tick(stuck: LocalThreads.shared.stuck)
        }
    }

    /// Sends every second what the worker saw of sites.
    private func report() async throws {
        while !Task.isCancelled {
            try await Task.sleep(for: .seconds(1))
            let reports = await onSiteQueue {
                resources.board.checkCredentials()
                return resources.board.reports()
            }
            // A job may name any number of sites, and a message holds so many.
            for start in stride(from: 0, to: reports.count, by: 1000) {
                outbox.send(.sites(Array(reports[start..<min(reports.count, start + 1000)])))
            }
        }
    }

    /// Runs what may look at the disk (caches, credentials) on a thread that is not of the cooperative pool.
    private func onSiteQueue<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in siteQueue.async { continuation.resume(returning: body()) } }
    }

    private func handle(
        _ message: CoordinatorMessage, _ payload: [UInt8], _ trainer: TrainingRunner, _ blobs: BlobClient
    ) async {
        switch message {
        case .welcome(let id, let leaseSeconds, let version):
            // A coordinator that does not compare the versions is older than this worker.
            if let mismatch = WireProtocol.mismatch(worker: WireProtocol.version, coordinator: version ?? 1) {
                wanted.set(.incompatible(reason: mismatch))
                return outbox.close()
            }
            log.info("joined as worker \(id)")
            outbox.welcomed(leaseSeconds: leaseSeconds)
        case .grants(let grants):
            for grant in outbox.granted(grants) { threads.run { work(grant) } }
        case .acknowledged(let leases): outbox.settled(leases)
        case .rejected(let lease, let reason):
            log.warning("a receipt was rejected: \(reason.shortened(to: 2000))")
            outbox.settled([lease])
        case .revoked(let leases):
            log.info("\(leases.count) task\(leases.count == 1 ? " is" : "s are") not waited for any more")
            outbox.settled(leases)
        case .drained: outbox.drained()
        case .startRound(let order): trainer.start(order, blobs)
        case .stopRound(let round): trainer.stop(round: round)
        case .catalog(let catalog):
            await onSiteQueue { resources.board.adopt(catalog) }
            if let failure = resources.board.cacheFailure { log.warning("\(failure)") }
        case .sites(let directives): resources.board.apply(directives)
        case .credential:
            // Over an open connection it was not sent by a coordinator of ours.
            guard settings.authority != nil else { return }
            resources.board.forward(token: payload.isEmpty ? nil : String(decoding: payload, as: UTF8.self))
        case .rendezvous(let round, let key): trainer.rendezvous(round: round, key: key, value: payload)
        }
    }

    private func work(_ grant: Grant) {
        // What was revoked while it waited for a thread is not begun, and what is revoked later stops at its next step.
        let isStopped: @Sendable () -> Bool = { [outbox] in !outbox.holds(grant.lease) }
        guard !isStopped() else { return }
        let reader = BlockReader(
            resources, localRoots: settings.localRoots, followsLinks: settings.followsLinks, isStopped: isStopped)
        let started = DispatchTime.now().uptimeNanoseconds
        var specs: [UInt8] = []
        let result: TaskResult
        do throws(InputError) {
            switch grant.body {
            case .list(let pattern):
                let listing = try reader.list(pattern)
                result = .listed(listing.files, repeated: listing.repeated > 0 ? listing.repeated : nil)
            case .survey(let file, let tree, let verify):
                result = .surveyed(try reader.survey(file, tree: tree, verify: verify))
            case .chunk(let task):
                let counted = try reader.specs(task, grant.plan ?? ChunkPlan(branches: [], split: .init()))
                specs = counted.specs
                result = .counted(
                    bytesRead: counted.bytesRead, seconds: Double(DispatchTime.now().uptimeNanoseconds - started) / 1e9)
            }
        } catch {
            guard !isStopped() else { return log.info("task \(grant.lease.task) was stopped") }
            log.warning("task \(grant.lease.task): \(error.description.shortened(to: 2000))")
            result = TaskResult(error)
        }
        outbox.finished(Receipt(grant.lease, result, specs: specs))
    }
}
