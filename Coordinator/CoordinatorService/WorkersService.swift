import Bytes
import Cluster
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Logging
import NIOSSL
import Synchronization
import Wire

/// The gRPC face that workers speak to; stateless over the coordinator.
struct WorkersService: Beamline_Workers.SimpleServiceProtocol {
    let coordinator: Coordinator
    let log: Logger
    /// Bytes in a blob at most: a training's state or a model.
    private static let blobLimit: UInt64 = 4 << 30

    func session(
        request: RPCAsyncSequence<Beamline_Envelope, any Error>, response: RPCWriter<Beamline_Envelope>,
        context: ServerContext
    ) async throws {
        let (outgoing, send) = AsyncStream.makeStream(
            of: Beamline_Envelope.self, bufferingPolicy: .bufferingOldest(10_000))
        let joined = Joined()
        var failure: (any Error)?
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for await envelope in outgoing { try await response.write(envelope) }
                    // The coordinator has dropped it; it joins again by itself.
                    throw RPCError(code: .unavailable, message: "the session was ended")
                }
                group.addTask { try await listen(request, send, joined) }
                // Whichever ends first ends both.
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch { failure = error }
        let worker = joined.worker.withLock { $0 }
        if let failure, !Task.isCancelled, (failure as? RPCError)?.code != .unavailable {
            log.warning(
                "the session of \(worker.map { "worker \($0)" } ?? "\(context.remotePeer)") is ended: \(failure)")
        }
        if let worker { await coordinator.leave(worker) }
        send.finish()
        if let failure { throw failure }
    }

    /// The number of a session's worker, once it has joined.
    private final class Joined: Sendable {
        let worker = Mutex<WorkerID?>(nil)
    }

    private func listen(
        _ request: RPCAsyncSequence<Beamline_Envelope, any Error>, _ send: AsyncStream<Beamline_Envelope>.Continuation,
        _ joined: Joined
    ) async throws {
        for try await envelope in request {
            let bytes =
                envelope.body.count + envelope.payload.count
                + envelope.receipts.reduce(0) { $0 + $1.specs.count + $1.result.count + 256 }
            for message in try WireCoding.messages(ofWorker: envelope) {
                if let worker = joined.worker.withLock({ $0 }) {
                    await coordinator.mailbox.room()
                    coordinator.post(
                        .message(worker: worker, message, payload: [UInt8](envelope.payload)), bytes: bytes)
                } else if case .join(let request) = message {
                    let worker = try await coordinator.join(request, send: send)
                    joined.worker.withLock { $0 = worker }
                } else {
                    throw RPCError(code: .failedPrecondition, message: "a session begins with a join request (hello)")
                }
            }
        }
    }

    func putBlob(
        request: RPCAsyncSequence<Beamline_BlobPart, any Error>, context: ServerContext
    ) async throws -> Beamline_BlobName {
        var bytes: [UInt8] = []
        var digest = ""
        var length: UInt64 = 0
        for try await part in request {
            if bytes.isEmpty { (digest, length) = (part.digest, part.length) }
            guard length <= Self.blobLimit else {
                throw RPCError(
                    code: .invalidArgument, message: "a blob of \(length) bytes; expected at most \(Self.blobLimit)")
            }
            guard UInt64(bytes.count + part.data.count) <= length else {
                throw RPCError(code: .invalidArgument, message: "a blob is longer than announced")
            }
            bytes += part.data
        }
        guard UInt64(bytes.count) == length, Digest.sha256(bytes) == digest else {
            throw RPCError(code: .dataLoss, message: "a blob's length or SHA-256 is wrong")
        }
        var name = Beamline_BlobName()
        name.digest = try coordinator.blobs.put(bytes)
        return name
    }

    func getBlob(
        request: Beamline_BlobName, response: RPCWriter<Beamline_BlobPart>, context: ServerContext
    ) async throws {
        guard let bytes = try coordinator.blobs.get(request.digest) else {
            throw RPCError(code: .notFound, message: "no blob \(request.digest)")
        }
        for part in WireCoding.parts(bytes, digest: request.digest) { try await response.write(part) }
    }
}

/// A server's certificate chain and key, PEM files.
package struct ServerCertificate: Sendable {
    package var chain: String
    package var key: String

    package init(chain: String, key: String) {
        self.chain = chain
        self.key = key
    }

    /// For HTTP.
    func tlsConfiguration() throws -> TLSConfiguration {
        .makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(chain).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem)))
    }
}

/// Serves workers until cancelled.
func serveWorkers(_ coordinator: Coordinator, _ listening: Listening, _ access: AccessGuard, log: Logger) async throws {
    let security: HTTP2ServerTransport.Posix.TransportSecurity =
        listening.certificate.map {
            .tls(certificateChain: [.file(path: $0.chain, format: .pem)], privateKey: .file(path: $0.key, format: .pem))
        } ?? .plaintext
    let transport = HTTP2ServerTransport.Posix(
        address: .ipv4(host: listening.host, port: listening.workersPort), transportSecurity: security,
        config: .defaults {
            $0.rpc.maxRequestPayloadSize = WireCoding.messageLimit
            // A peer that is gone without a word is found out within a minute; workers ask as well.
            $0.connection.keepalive = .init(
                time: .seconds(30), timeout: .seconds(20),
                clientBehavior: .init(minPingIntervalWithoutCalls: .seconds(10), allowWithoutCalls: true))
        })
    let server = GRPCServer(
        transport: transport, services: [WorkersService(coordinator: coordinator, log: log)],
        interceptors: [JoinInterceptor(access: access, log: log)])
    try await server.serve()
}
