import Bytes
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Wire

/// Fetches and stores blobs at the coordinator; each is checked against its SHA-256.
struct BlobClient: Sendable {
    let workers: Beamline_Workers.Client<HTTP2ClientTransport.Posix>

    func get(_ digest: String) async throws -> [UInt8] {
        var name = Beamline_BlobName()
        name.digest = digest
        let bytes = try await workers.getBlob(name) { response in
            var bytes: [UInt8] = []
            for try await part in response.messages { bytes += part.data }
            return bytes
        }
        guard Digest.sha256(bytes) == digest else {
            throw InputError(.badChecksum, "a blob arrived damaged", expected: digest)
        }
        return bytes
    }

    func put(_ bytes: [UInt8]) async throws -> String {
        let digest = Digest.sha256(bytes)
        return try await workers.putBlob { writer in
            for part in WireCoding.parts(bytes, digest: digest) { try await writer.write(part) }
        } onResponse: { response in
            try response.message.digest
        }
    }
}
