import Bytes
import Crypto
import Foundation

/// Files named by their SHA-256 beside the ledger: written, synced, renamed, then recorded.
package final class BlobStore: Sendable {
    private let directory: URL

    package init(_ directory: URL) throws {
        self.directory = directory
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    package static func digest(_ bytes: [UInt8]) -> String {
        hexadecimal(Array(SHA256.hash(data: bytes)))
    }

    package func put(_ bytes: [UInt8]) throws -> String {
        let digest = Self.digest(bytes)
        let target = directory.appending(path: digest)
        guard !FileManager.default.fileExists(atPath: target.path) else { return digest }
        let partial = directory.appending(path: "\(digest).\(UUID().uuidString).partial")
        FileManager.default.createFile(atPath: partial.path, contents: nil)
        let handle = try FileHandle(forWritingTo: partial)
        try handle.write(contentsOf: bytes)
        try handle.synchronize()
        try handle.close()
        guard rename(partial.path, target.path) == 0 else { throw CocoaError(.fileWriteUnknown) }
        return digest
    }

    package func get(_ digest: String) throws -> [UInt8]? {
        guard digest.count == 64, digest.allSatisfy(\.isHexDigit) else { return nil }
        let path = directory.appending(path: digest)
        guard FileManager.default.fileExists(atPath: path.path) else { return nil }
        return [UInt8](try Data(contentsOf: path))
    }

    package func remove(_ digest: String) { try? FileManager.default.removeItem(at: directory.appending(path: digest)) }
}
