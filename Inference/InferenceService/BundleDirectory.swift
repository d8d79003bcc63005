import Bytes
import Foundation
import Serving

/// The bundles on a node's disk, a file named by its SHA-256 each, and the index of what is served. A file is written
/// beside, synced and renamed, and only then named by the index.
// SAFETY: ModelStore uses it on one serial queue only.
final class BundleDirectory: @unchecked Sendable {
    private let directory: URL
    private(set) var index = VersionIndex()

    private static let indexName = "index.json"
    private static let suffix = ".bundle"

    /// Opens the directory, making it where it is not there.
    ///
    /// - Throws: `InputError` where it cannot be made or its index cannot be read.
    init(_ directory: URL) throws(InputError) {
        self.directory = directory
        do {
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            let url = directory.appending(path: Self.indexName)
            if FileManager.default.fileExists(atPath: url.path) {
                index = try JSONDecoder().decode(VersionIndex.self, from: Data(contentsOf: url))
            } else {
                try adopt()
            }
        } catch {
            throw InputError(
                .input, "the models in the state directory cannot be read", file: directory.path, found: "\(error)")
        }
    }

    /// Before there was an index, each model had one file of its name.
    private func adopt() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: directory.path)
            .filter { $0.hasSuffix(Self.suffix) }.sorted()
        for file in files {
            let bytes = [UInt8](try Data(contentsOf: directory.appending(path: file)))
            let digest = Digest.sha256(bytes)
            try write(bytes, to: digest + Self.suffix)
            index = index.serving(String(file.dropLast(Self.suffix.count)), version: 1, digest: digest)
        }
        try save(index)
        removeUnnamed()
    }

    /// Reads a bundle and checks its digest.
    func bundle(_ digest: String) throws(InputError) -> [UInt8] {
        let url = directory.appending(path: digest + Self.suffix)
        guard let data = try? Data(contentsOf: url) else {
            throw InputError(.missing, "a bundle of the index is not there", file: url.path)
        }
        let bytes = [UInt8](data)
        let found = Digest.sha256(bytes)
        guard found == digest else {
            throw InputError(.badChecksum, "a bundle is damaged", file: url.path, expected: digest, found: found)
        }
        return bytes
    }

    /// Stores a bundle and names it as the version that serves; bundles that nothing names any more go.
    func keep(_ name: String, version: Int64, digest: String, bytes: [UInt8]) throws(InputError) {
        let next = index.serving(name, version: version, digest: digest)
        do {
            try write(bytes, to: digest + Self.suffix)
            try save(next)
        } catch {
            throw InputError(
                .unreachable, "the bundle cannot be stored", file: directory.path, object: name, found: "\(error)")
        }
        index = next
        removeUnnamed()
    }

    private func save(_ index: VersionIndex) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
        try write([UInt8](try encoder.encode(index)), to: Self.indexName)
    }

    private func write(_ bytes: [UInt8], to name: String) throws {
        let target = directory.appending(path: name)
        let beside = directory.appending(path: name + ".part")
        guard FileManager.default.createFile(atPath: beside.path, contents: nil) else {
            throw InputError(.unreachable, "a file cannot be made", file: beside.path)
        }
        let file = try FileHandle(forWritingTo: beside)
        defer { try? file.close() }
        try file.write(contentsOf: bytes)
        try file.synchronize()
        guard rename(beside.path, target.path) == 0 else {
            throw InputError(
                .unreachable, "a file cannot be renamed", file: target.path, found: String(cString: strerror(errno)))
        }
    }

    private func removeUnnamed() {
        let named = Set(index.models.map { $0.digest + Self.suffix })
        let files = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        for file in files where !named.contains(file) && (file.hasSuffix(Self.suffix) || file.hasSuffix(".part")) {
            try? FileManager.default.removeItem(at: directory.appending(path: file))
        }
    }
}
