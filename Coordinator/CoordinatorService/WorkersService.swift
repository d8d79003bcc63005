import Bytes
import Cluster
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Logging
import Scheduling
import Synchronization
import Wire

/// The gRPC interface for workers; stateless over the coordinator.
struct WorkersService: Beamline_Workers.SimpleServiceProtocol {
    let coordinator: Coordinator
    let log: Logger
    /// Bytes of a blob at most: a training's state or a model.
    private static let maxBlob: UInt64 = 4 << 30
    /// From a session's beginning to its join request.
    private static let joinTime = Duration.seconds(30)

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
                    // The coordinator has dropped the worker, which joins again by itself.
                    throw RPCError(code: .unavailable, message: "the session was ended")
                }
                group.addTask { try await listen(request, send, joined) }
                group.addTask {
                    try await Task.sleep(for: Self.joinTime)
                    guard joined.worker.withLock({ $0 }) == nil else { return try await Self.waitForCancellation() }
                    throw RPCError(code: .deadlineExceeded, message: "no join request within \(Self.joinTime)")
                }
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
        // A worker that may no longer be here has not died.
        if let worker { await coordinator.leave(worker, died: (failure as? RPCError)?.code != .unauthenticated) }
        send.finish()
        if let failure { throw failure }
    }

    private static func waitForCancellation() async throws {
        while true { try await Task.sleep(for: .seconds(86_400)) }
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
                    try Self.checkProtocol(request)
                    let worker = try await coordinator.join(request, send: send)
                    joined.worker.withLock { $0 = worker }
                } else {
                    throw RPCError(code: .invalidArgument, message: "a session begins with a join request")
                }
            }
        }
    }

    /// A worker that gets `failedPrecondition` ends, since another attempt would end the same way.
    private static func checkProtocol(_ request: JoinRequest) throws(RPCError) {
        if let mismatch = WireProtocol.mismatch(worker: request.protocolVersion, coordinator: WireProtocol.version) {
            throw RPCError(
                code: .failedPrecondition, message: "worker \(request.name) (beamline \(request.version)): \(mismatch)")
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
            guard length <= Self.maxBlob else {
                throw RPCError(
                    code: .invalidArgument, message: "a blob of \(length) bytes; expected at most \(Self.maxBlob)")
            }
            guard UInt64(bytes.count + part.data.count) <= length else {
                throw RPCError(code: .invalidArgument, message: "a blob is longer than announced")
            }
            bytes += part.data
        }
        let (blobs, received, announced) = (coordinator.blobs, bytes, digest)
        let isWhole = UInt64(bytes.count) == length
        var name = Beamline_BlobName()
        name.digest = try await coordinator.blobThreads.run {
            guard isWhole, Digest.sha256(received) == announced else {
                throw RPCError(code: .dataLoss, message: "a blob's length or SHA-256 is wrong")
            }
            return try blobs.put(received)
        }
        return name
    }

    func getBlob(
        request: Beamline_BlobName, response: RPCWriter<Beamline_BlobPart>, context: ServerContext
    ) async throws {
        let (blobs, digest) = (coordinator.blobs, request.digest)
        guard let bytes = try await coordinator.blobThreads.run({ try blobs.get(digest) }) else {
            throw RPCError(code: .notFound, message: "no blob \(request.digest)")
        }
        for part in WireCoding.parts(bytes, digest: request.digest) { try await response.write(part) }
    }
}
