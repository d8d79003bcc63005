import Bytes
import Foundation
import Synchronization

/// Files named by their SHA-256 beside the ledger: written, synced, renamed, then recorded.
package final class BlobStore: Sendable {
    private let directory: URL

    package init(_ directory: URL) throws {
        self.directory = directory
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    /// What was stored and is not named by the ledger yet, and how often: two jobs may store the same bytes.
    private let arriving = Mutex<[String: (count: Int, since: Date)]>([:])
    private static let patience = 600.0

    package func put(_ bytes: [UInt8]) throws -> String {
        let digest = Digest.sha256(bytes)
        let target = directory.appending(path: digest)
        let isThere = arriving.withLock { arriving in
            arriving = arriving.filter { $0.value.since.timeIntervalSinceNow > -Self.patience }
            arriving[digest] = ((arriving[digest]?.count ?? 0) + 1, Date())
            return FileManager.default.fileExists(atPath: target.path)
        }
        guard !isThere else { return digest }
        let partial = directory.appending(path: "\(digest).\(UUID().uuidString).partial")
        // Gone already where all went well.
        defer { try? FileManager.default.removeItem(at: partial) }
        FileManager.default.createFile(atPath: partial.path, contents: nil)
        let handle = try FileHandle(forWritingTo: partial)
        defer { try? handle.close() }
        try handle.write(contentsOf: bytes)
        try handle.synchronize()
        guard rename(partial.path, target.path) == 0 else { throw CocoaError(.fileWriteUnknown) }
        return digest
    }

    /// Digests come from outside: nothing else gets into a path.
    private func path(_ digest: String) -> URL? {
        digest.utf8.count == 64 && digest.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
            ? directory.appending(path: digest) : nil
    }

    package func has(_ digest: String) -> Bool {
        path(digest).map { FileManager.default.fileExists(atPath: $0.path) } ?? false
    }

    package func get(_ digest: String) throws -> [UInt8]? {
        has(digest) ? try path(digest).map { [UInt8](try Data(contentsOf: $0)) } : nil
    }

    /// A report names it: from its commit on the ledger knows.
    package func arrived(_ digest: String) {
        arriving.withLock { arriving in
            guard let entry = arriving[digest] else { return }
            arriving[digest] = entry.count > 1 ? (entry.count - 1, entry.since) : nil
        }
    }

    /// - Parameter isNamed: whether the ledger names it.
    package func remove(_ digest: String, isNamed: (String) throws -> Bool) rethrows {
        guard let path = path(digest), try !isNamed(digest) else { return }
        arriving.withLock { if $0[digest] == nil { try? FileManager.default.removeItem(at: path) } }
    }

    /// Removes what an earlier life left.
    package func sweep(isNamed: (String) throws -> Bool) rethrows {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? [] {
            if name.hasSuffix(".partial") {
                try? FileManager.default.removeItem(at: directory.appending(path: name))
            } else {
                try remove(name, isNamed: isNamed)
            }
        }
    }
}
