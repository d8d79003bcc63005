import Bytes
import Cluster
package import Foundation
import SwiftProtobuf

/// Cluster's values as the bytes that travel.
package enum WireCoding {
    /// A value as JSON with sorted keys.
    package static func body(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(value)
    }

    /// The value of a message's JSON.
    /// - Throws: `InputError` with `.unsupported` where a newer version wrote the value, with `.corrupt` where the JSON
    ///   is not understood.
    package static func value<T: Decodable>(_: T.Type, _ body: Data) throws -> T {
        do { return try JSONDecoder().decode(T.self, from: body) } catch let newer as NewerFormat {
            throw InputError(
                .unsupported, newer.description, expected: "format \(newer.newest) or older",
                found: "format \(newer.format)")
        } catch {
            throw InputError(
                .corrupt, "a message is not understood", expected: "\(T.self)",
                found: "\(error)".shortened(to: 1000),
                hint: "Coordinator and worker are probably of different versions.")
        }
    }

    /// An envelope with a message as JSON, and the plain bytes that go with it.
    package static func envelope(_ message: some Encodable, payload: [UInt8] = []) throws -> Beamline_Envelope {
        var envelope = Beamline_Envelope()
        envelope.body = try body(message)
        envelope.payload = Data(payload)
        return envelope
    }

    /// Larger than gRPC's default: partial specs of a wide chunk travel in one message.
    package static let messageLimit = 64 << 20
    /// Bytes in one part of a blob.
    package static let partSize = 1 << 20

    /// Cuts a blob into parts.
    package static func parts(_ bytes: [UInt8], digest: String) -> [Beamline_BlobPart] {
        var parts: [Beamline_BlobPart] = []
        var offset = 0
        repeat {
            var part = Beamline_BlobPart()
            if offset == 0 { (part.digest, part.length) = (digest, UInt64(bytes.count)) }
            part.data = Data(bytes[offset..<min(bytes.count, offset + partSize)])
            offset += partSize
            parts.append(part)
        } while offset < bytes.count
        return parts
    }
}
