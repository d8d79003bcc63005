import Bytes
package import Foundation
import Synchronization

/// Files named by their SHA-256 beside the ledger: written, synced, renamed, then recorded. Calls block.
package final class BlobStore: Sendable {
    private struct State {
        /// Blobs that are stored and that the ledger does not name yet, with how often that happened (two jobs may
        /// store the same bytes) and when it happened last.
        var arriving: [String: (count: Int, since: Date)] = [:]
        /// Blobs whose file is being removed.
        var removing: Set<String> = []
    }

    private let directory: URL
    private let state = Mutex(State())
    /// Seconds after which a blob that nobody reported is not expected any more.
    private static let arrivalTimeout = 600.0

    /// - Throws: what the file system throws where the directory cannot be made.
    package init(_ directory: URL) throws {
        self.directory = directory
        try FileManager.default.createDirectory(
            at: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    /// Stores bytes durably; bytes that are there already stay as they are.
    /// - Returns: their SHA-256, in hexadecimal.
    /// - Throws: what the file system throws.
    package func put(_ bytes: [UInt8]) throws -> String {
        let digest = Digest.sha256(bytes)
        let target = directory.appending(path: digest)
        // A removal takes no longer than unlinking one file.
        while !announce(digest) { usleep(500) }
        // Nobody removes it from here on.
        guard !FileManager.default.fileExists(atPath: target.path) else { return digest }
        let partial = directory.appending(path: "\(digest).\(UUID().uuidString).partial")
        // Gone already where all went well.
        defer { try? FileManager.default.removeItem(at: partial) }
        guard
            FileManager.default.createFile(
                atPath: partial.path, contents: nil, attributes: [.posixPermissions: 0o600])
        else {
            throw InputError(.denied, "a blob's file cannot be created", file: partial.path)
        }
        let handle = try FileHandle(forWritingTo: partial)
        defer { try? handle.close() }
        try handle.write(contentsOf: bytes)
        try handle.synchronize()
        guard rename(partial.path, target.path) == 0 else {
            throw InputError(
                .denied, "a blob's file cannot be renamed", file: target.path, found: String(cString: strerror(errno)))
        }
        return digest
    }

    /// Keeps a blob from being removed until it is reported.
    /// - Returns: false where it is being removed at the moment.
    private func announce(_ digest: String) -> Bool {
        state.withLock { state in
            guard !state.removing.contains(digest) else { return false }
            state.arriving = state.arriving.filter { $0.value.since.timeIntervalSinceNow > -Self.arrivalTimeout }
            state.arriving[digest] = ((state.arriving[digest]?.count ?? 0) + 1, Date())
            return true
        }
    }

    /// Digests come from outside: nothing else gets into a path.
    private func path(_ digest: String) -> URL? {
        digest.utf8.count == 64 && digest.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
            ? directory.appending(path: digest) : nil
    }

    /// Whether there is a blob with this digest.
    package func has(_ digest: String) -> Bool {
        path(digest).map { FileManager.default.fileExists(atPath: $0.path) } ?? false
    }

    /// The bytes of a blob; nil where there is none with this digest.
    package func get(_ digest: String) throws -> [UInt8]? {
        has(digest) ? try path(digest).map { [UInt8](try Data(contentsOf: $0)) } : nil
    }

    /// A report names the blob: from its commit on the ledger knows it.
    package func arrived(_ digest: String) {
        state.withLock { state in
            guard let entry = state.arriving[digest] else { return }
            state.arriving[digest] = entry.count > 1 ? (entry.count - 1, entry.since) : nil
        }
    }

    /// Removes a blob that nobody needs.
    /// - Parameter isNamed: whether the ledger names it.
    package func remove(_ digest: String, isNamed: (String) throws -> Bool) rethrows {
        guard let path = path(digest), try isNamed(digest) == false else { return }
        let isFree = state.withLock { $0.arriving[digest] == nil && $0.removing.insert(digest).inserted }
        guard isFree else { return }
        try? FileManager.default.removeItem(at: path)
        state.withLock { _ = $0.removing.remove(digest) }
    }

    // MARK: Blobs that no job names

    /// Where the first sightings of blobs that no job names are kept.
    private var retentionFile: URL { directory.appending(path: "unnamed.json") }

    /// The digests of the blobs that are there.
    package var all: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []).filter { path($0) != nil }
    }

    /// Removes what earlier processes left half written. No blob may be under way.
    package func removePartial() {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        where name.hasSuffix(".partial") { try? FileManager.default.removeItem(at: directory.appending(path: name)) }
    }

    /// Looks for blobs that no job names: notes those that are new, durably, and removes those that have been so for a
    /// day (`BlobRetention`).
    ///
    /// - Parameters:
    ///   - named: the blobs that the ledger names; nothing may be committed until this returns.
    ///   - now: seconds since 1970.
    /// - Returns: how many were removed.
    /// - Throws: what the file system throws where the sightings cannot be noted; then nothing is removed.
    package func sweep(named: Set<String>, now: Double) throws -> Int {
        let arriving = state.withLock { Set($0.arriving.keys) }
        let unnamed = Set(all).subtracting(named).subtracting(arriving)
        // One that cannot be read begins all delays again.
        let known = (try? Data(contentsOf: retentionFile)).flatMap {
            try? JSONDecoder().decode(BlobRetention.self, from: $0)
        }
        var retention = known ?? BlobRetention()
        let expired = retention.look(unnamed: unnamed, now: now)
        if retention != known {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            try encoder.encode(retention).write(to: retentionFile, options: .atomic)
        }
        for digest in expired { remove(digest) { _ in false } }
        return expired.count
    }
}
