import Bytes
import Foundation
import Serving

/// The bundles on a node's disk, a file named by its SHA-256 each, and the index of what is served. A file is written
/// beside, synced and renamed, and only then named by the index.
// SAFETY: ModelStore uses `index` and what changes it on one serial queue only; `files` is a value without state.
final class BundleDirectory: @unchecked Sendable {
    /// The files; they may be staged and read from any thread.
    let files: BundleFiles
    private let directory: URL
    private(set) var index = VersionIndex()
    /// What was found besides the bundles of the index, a sentence each.
    private(set) var notes: [String] = []

    private static let indexName = "index.json"

    /// The name of the file of a bundle with this SHA-256.
    private static func fileName(_ digest: String) -> String { digest + BundleFiles.suffix }

    /// Opens the directory, making it where it is not there. Files of an earlier life that nothing names are removed,
    /// those that are no bundle of ours are quarantined.
    ///
    /// - Throws: `InputError` where it cannot be made or its index cannot be read.
    init(_ directory: URL) throws(InputError) {
        self.directory = directory
        files = BundleFiles(directory)
        do {
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            files.removePartial()
            let url = files.url(Self.indexName)
            let hasIndex = FileManager.default.fileExists(atPath: url.path)
            if hasIndex {
                index = try JSONDecoder().decode(VersionIndex.self, from: Data(contentsOf: url))
            } else {
                try adopt()
            }
            try tidy(hadIndex: hasIndex)
        } catch {
            throw InputError(
                .input, "the models in the state directory cannot be read", file: directory.path, found: "\(error)",
                hint: "Move its index.json away to start without these models; their bundles are quarantined then.")
        }
    }

    /// Before there was an index, each model had one file of its name.
    private func adopt() throws {
        for file in try files.names() where BundleFiles.isBundle(file) {
            let name = String(file.dropLast(BundleFiles.suffix.count))
            // Without the index nobody knows which model this was.
            guard !VersionIndex.isDigest(name) else { continue }
            // What is no file is quarantined.
            guard let bytes = try? files.read(file) else { continue }
            let digest = Digest.sha256(bytes)
            try files.commit(try files.stage(bytes), as: Self.fileName(digest))
            index = index.serving(name, version: 1, digest: digest)
        }
        try files.commit(try stage(index), as: Self.indexName)
        for model in index.models { files.remove(model.name + BundleFiles.suffix) }
    }

    /// Sees to bundles that the index does not name.
    ///
    /// - Parameter hadIndex: whether the directory had an index; without one nothing is known to be of no use.
    private func tidy(hadIndex: Bool) throws {
        let named = Set(index.models.map { Self.fileName($0.digest) })
        for file in try files.names() where BundleFiles.isBundle(file) && !named.contains(file) {
            let digest = String(file.dropLast(BundleFiles.suffix.count))
            // A version that was replaced, or that was not acknowledged, when an earlier life ended.
            if hadIndex, VersionIndex.isDigest(digest), let bytes = try? files.read(file),
                Digest.sha256(bytes) == digest
            {
                files.remove(file)
            } else {
                quarantine(file, because: "the index does not name it")
            }
        }
    }

    private func quarantine(_ file: String, because reason: String) {
        let path = files.quarantine(file)
        notes.append("\(file): \(reason); " + (path.map { "it is now \($0)" } ?? "it could not be moved"))
    }

    /// Reads a bundle and checks its digest.
    ///
    /// - Throws: `InputError` where it is not there, cannot be read or is damaged.
    func bundle(_ digest: String) throws(InputError) -> [UInt8] {
        let bytes = try files.read(Self.fileName(digest))
        let found = Digest.sha256(bytes)
        guard found == digest else {
            throw InputError(
                .badChecksum, "a bundle is damaged", file: files.url(Self.fileName(digest)).path, expected: digest,
                found: found)
        }
        return bytes
    }

    /// The size of a bundle's file in bytes.
    ///
    /// - Throws: `InputError` where it is not there, or is no file.
    func size(_ digest: String) throws(InputError) -> Int { try files.size(Self.fileName(digest)) }

    /// Moves a bundle away that cannot be served. The index goes on naming it, so that its model is not forgotten and
    /// its numbers go on.
    func quarantine(bundle digest: String, because reason: String) {
        quarantine(Self.fileName(digest), because: reason)
    }

    /// Names a staged bundle as the version that serves, and removes the one before it.
    ///
    /// - Throws: `InputError` with `.full` or `.unreachable`; what was named before is named still, and the staged file
    ///   is gone.
    func serve(_ name: String, version: Int64, digest: String, staged: String) throws(InputError) {
        let old = index.models.first { $0.name == name }?.digest
        let next = index.serving(name, version: version, digest: digest)
        var stagedIndex: String?
        do throws(InputError) {
            // What may not fit on the disk comes first.
            let written = try stage(next)
            stagedIndex = written
            try files.commit(staged, as: Self.fileName(digest))
            try files.commit(written, as: Self.indexName)
        } catch {
            files.remove(staged)
            if let stagedIndex { files.remove(stagedIndex) }
            removeUnnamed(digest)
            throw error
        }
        index = next
        if let old { removeUnnamed(old) }
    }

    private func removeUnnamed(_ digest: String) {
        guard !index.models.contains(where: { $0.digest == digest }) else { return }
        files.remove(Self.fileName(digest))
    }

    private func stage(_ index: VersionIndex) throws(InputError) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
        let bytes: [UInt8]
        do { bytes = [UInt8](try encoder.encode(index)) } catch {
            throw InputError(.corrupt, "the index cannot be written", file: directory.path, found: "\(error)")
        }
        return try files.stage(bytes)
    }
}
