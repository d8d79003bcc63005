import Bytes
import Cluster
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Wire

/// The gRPC face that workers speak to; stateless over the coordinator.
struct WorkersService: Beamline_Workers.SimpleServiceProtocol {
    let coordinator: Coordinator

    func session(
        request: RPCAsyncSequence<Beamline_Envelope, any Error>, response: RPCWriter<Beamline_Envelope>, context: ServerContext
    ) async throws {
        let (outgoing, send) = AsyncStream.makeStream(of: Beamline_Envelope.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await envelope in outgoing { try await response.write(envelope) }
                // The coordinator has dropped it; it joins again by itself.
                throw RPCError(code: .unavailable, message: "the session was ended")
            }
            group.addTask {
                defer { send.finish() }
                var worker: Int64?
                do {
                    for try await envelope in request {
                        for message in try WireCoding.messages(ofWorker: envelope) {
                            if let worker {
                                await coordinator.mailbox.room()
                                coordinator.post(.message(worker: worker, message, payload: [UInt8](envelope.payload)))
                            } else if case .hello(let hello) = message {
                                worker = try await coordinator.join(hello, send: send)
                            } else {
                                throw RPCError(code: .failedPrecondition, message: "a session begins with hello")
                            }
                        }
                    }
                } catch {
                    if let worker { await coordinator.leave(worker) }
                    throw error
                }
                if let worker { await coordinator.leave(worker) }
            }
            // Whichever ends first ends both.
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    func putBlob(request: RPCAsyncSequence<Beamline_BlobPart, any Error>, context: ServerContext) async throws -> Beamline_BlobName {
        var bytes: [UInt8] = []
        var digest = ""
        var length: UInt64 = 0
        for try await part in request {
            if bytes.isEmpty { (digest, length) = (part.digest, part.length) }
            guard UInt64(bytes.count + part.data.count) <= length else { throw RPCError(code: .invalidArgument, message: "a blob is longer than announced") }
            bytes += part.data
        }
        guard UInt64(bytes.count) == length, BlobStore.digest(bytes) == digest else {
            throw RPCError(code: .dataLoss, message: "a blob's length or SHA-256 is wrong")
        }
        var name = Beamline_BlobName()
        name.digest = try coordinator.blobs.put(bytes)
        return name
    }

    func getBlob(request: Beamline_BlobName, response: RPCWriter<Beamline_BlobPart>, context: ServerContext) async throws {
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
}

/// Serves workers until cancelled.
func serveWorkers(_ coordinator: Coordinator, host: String, port: Int, certificate: ServerCertificate?) async throws {
    let security: HTTP2ServerTransport.Posix.TransportSecurity = certificate.map {
        .tls(certificateChain: [.file(path: $0.chain, format: .pem)], privateKey: .file(path: $0.key, format: .pem))
    } ?? .plaintext
    let transport = HTTP2ServerTransport.Posix(
        address: .ipv4(host: host, port: port), transportSecurity: security,
        config: .defaults { $0.rpc.maxRequestPayloadSize = WireCoding.messageLimit })
    let server = GRPCServer(transport: transport, services: [WorkersService(coordinator: coordinator)])
    try await server.serve()
}
