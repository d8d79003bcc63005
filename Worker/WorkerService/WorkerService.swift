import Bytes
import Cluster
import Dispatch
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Logging
import Pipeline
import Synchronization
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
    private let queue: DispatchQueue
    private let slots: DispatchSemaphore
    private let files = OpenFiles()

    package init(_ settings: Settings, version: String, log: Logger) {
        self.settings = settings
        self.version = version
        self.log = log
        queue = DispatchQueue(label: "beamline.worker", attributes: .concurrent)
        slots = DispatchSemaphore(value: settings.threads)
    }

    /// Connects, works, and connects again when the coordinator went away. Returns when cancelled.
    package func run() async throws {
        let outbox = Outbox()
        let trainer = TrainingRunner(settings: settings, files: files, outbox: outbox, log: log)
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
        let transport = try HTTP2ClientTransport.Posix(
            target: .dns(host: settings.coordinatorHost, port: settings.coordinatorPort), transportSecurity: .plaintext)
        try await withGRPCClient(transport: transport) { client in
            let workers = Beamline_Workers.Client(wrapping: client)
            let blobs = BlobClient(workers: workers)
            let (messages, continuation) = AsyncStream.makeStream(of: Beamline_Envelope.self)
            let hello = WorkerMessage.hello(name: settings.name, threads: settings.threads, localRoots: settings.localRoots, version: version)
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
            queue.async { work(lease, body, outbox) }
        case .acknowledged(let lease): outbox.acknowledged(lease)
        case .refused(let lease, let reason):
            log.warning("a receipt was refused: \(reason)")
            outbox.acknowledged(lease)
        case .startRound(let order): trainer.start(order, blobs)
        case .stopRound(let round): trainer.stop(round: round)
        case .rendezvous(let round, let key): trainer.rendezvous(round: round, key: key, value: payload)
        }
    }

    private func work(_ lease: LeaseName, _ body: TaskBody, _ outbox: Outbox) {
        slots.wait()
        defer { slots.signal() }
        let reader = BlockReader(files: files, localRoots: settings.localRoots)
        let started = DispatchTime.now().uptimeNanoseconds
        var specs: [UInt8] = []
        let result: TaskResult
        do throws(FormatError) {
            switch body {
            case .list(let pattern): result = .listed(urls: try reader.list(pattern))
            case .survey(let url, let tree): result = .surveyed(try reader.survey(url, tree: tree))
            case .chunk(let task):
                let counted = try reader.specs(task)
                specs = counted.specs
                result = .counted(bytesRead: counted.bytesRead, seconds: Double(DispatchTime.now().uptimeNanoseconds - started) / 1e9)
            }
        } catch {
            log.warning("task \(lease.task): \(error)")
            result = .failed(reason: error.description, transient: error.code == .unreachable || error.code == .deadline)
        }
        outbox.send(lease, result, specs)
    }
}

/// What a worker has to say. Receipts stay until they are acknowledged, and are said again in the next session.
final class Outbox: Sendable {
    private struct State {
        var session: AsyncStream<Beamline_Envelope>.Continuation?
        var held: Set<LeaseName> = []
        var receipts: [LeaseName: Beamline_Envelope] = [:]
    }

    private let state = Mutex(State())

    func connect(_ session: AsyncStream<Beamline_Envelope>.Continuation) {
        state.withLock { state in
            state.session = session
            for envelope in state.receipts.sorted(by: { $0.key.token < $1.key.token }).map(\.value) { session.yield(envelope) }
        }
    }

    func disconnect() { state.withLock { $0.session = nil } }

    func hold(_ lease: LeaseName) { state.withLock { _ = $0.held.insert(lease) } }

    func renew() { send(.renew(state.withLock { Array($0.held) })) }

    func send(_ message: WorkerMessage, payload: [UInt8] = []) {
        guard let envelope = try? WireCoding.envelope(message, payload: payload) else { return }
        state.withLock { _ = $0.session?.yield(envelope) }
    }

    func send(_ lease: LeaseName, _ result: TaskResult, _ specs: [UInt8]) {
        guard let envelope = try? WireCoding.envelope(WorkerMessage.receipt(lease, result), payload: specs) else { return }
        state.withLock { state in
            state.receipts[lease] = envelope
            state.session?.yield(envelope)
        }
    }

    func acknowledged(_ lease: LeaseName) {
        state.withLock { state in
            state.held.remove(lease)
            state.receipts[lease] = nil
        }
    }
}
