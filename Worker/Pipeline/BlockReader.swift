import Bytes
import Cluster
import Columns
import Crypto
import Features
import RootFormat
import Specs
import Storage
import Synchronization

/// Reads what tasks name: lists, surveys, partial specs, feature rows. Its calls block; one thread uses one reader.
package final class BlockReader {
    private let options: StorageOptions
    private let localRoots: [String]
    private let decoder = ColumnDecoder()
    private let files: OpenFiles

    package init(files: OpenFiles, options: StorageOptions = .init(), localRoots: [String]) {
        self.files = files
        self.options = options
        self.localRoots = localRoots
    }

    private func permit(_ url: String) throws(FormatError) { try Self.permit(url, localRoots) }

    private static func permit(_ url: String, _ roots: [String]) throws(FormatError) {
        guard case .local(let path) = StorageURL(url).kind else { return }
        guard mayRead(path, below: roots) else {
            throw FormatError(
                .input, "this worker may not read the local file", file: path,
                hint: "Start a worker with --local-files and a directory above it.")
        }
    }

    package func list(_ pattern: String) throws(FormatError) -> [String] {
        let roots = localRoots
        return try FileLister(options: options) { (path) throws(FormatError) in try Self.permit(path, roots) }.expand(pattern)
    }

    package func survey(_ url: String, tree: String) throws(FormatError) -> Survey {
        try permit(url)
        let opened = try files.open(url, tree: tree, options: options)
        return Survey(
            bytes: opened.file.source.size, identity: try identity(opened.file), entries: opened.tree.entries,
            boundaries: opened.tree.entries == 0 ? [0] : opened.tree.blockBoundaries(),
            branches: opened.tree.branches.map { branch in
                SurveyedBranch(
                    name: branch.name, type: branch.typeName,
                    fixedValues: branch.numbers?.shape.fixedValues,
                    itemValues: branch.numbers?.shape.itemValues ?? 1, unsupported: branch.numbers == nil ? branch.unsupportedReason ?? "text is not numeric" : nil)
            })
    }

    /// The file's UUID, or where it has none, a hash of its size, head and tail.
    private func identity(_ file: RootFile) throws(FormatError) -> String {
        if file.header.uuid.contains(where: { $0 != 0 }) { return file.header.uuid.map(Self.hex).joined() }
        let size = file.source.size
        let length = min(size, 64 << 10)
        let ends = try file.source.read([ByteRange(offset: 0, length: length), ByteRange(offset: size - length, length: length)])
        var hash = SHA256()
        hash.update(data: Array(String(size).utf8))
        hash.update(data: ends.bytes(0))
        hash.update(data: ends.bytes(1))
        return "sha256:" + hash.finalize().map(Self.hex).joined()
    }

    private static func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

    private func read(_ url: String, tree: String, identity expected: String, _ branches: [String], _ entries: Range<Int64>) throws(FormatError) -> (batch: ColumnBatch, bytes: Int) {
        try permit(url)
        let opened = try files.open(url, tree: tree, options: options)
        if !expected.hasPrefix("sha256:"), opened.file.header.uuid.map(Self.hex).joined() != expected {
            throw FormatError(.corrupt, "the file is not the one that was surveyed: its identity changed", file: url, expected: expected)
        }
        do throws(FormatError) {
            var found: [BranchDescription] = []
            for name in branches {
                guard let branch = opened.tree.branch(name) else {
                    throw FormatError(.missing, "the tree \(tree) has no branch \(name)")
                }
                found.append(branch)
            }
            let plan = try EntryPlan(tree: opened.tree, branches: found, entries: entries)
            let fetched = try opened.file.source.read(plan.ranges)
            return (try decoder.decode(plan, fetched), fetched.transferred)
        } catch {
            files.forget(url, tree: tree)
            throw error.located(file: url)
        }
    }

    /// The partial specs of a chunk, encoded, and the bytes that travelled.
    package func specs(_ task: ChunkTask) throws(FormatError) -> (specs: [UInt8], bytesRead: Int) {
        let first = task.boundaries[0]
        let (batch, bytes) = try read(task.url, tree: task.tree, identity: task.identity, task.branches, first..<task.boundaries.last!)
        let splitter = Splitter(task.split, identity: task.identity)
        var blocks: [[PartialSpecs]] = []
        for (start, end) in zip(task.boundaries, task.boundaries.dropFirst()) {
            let parts = (start..<end).map { UInt8(splitter.part($0).rawValue) }
            blocks.append(PartialSpecs.compute(batch, Int(start - first)..<Int(end - first), parts: parts))
        }
        return (SpecsCoding.encode(blocks), bytes)
    }

    /// The feature rows of a block, part by part.
    package func rows(_ block: TrainingBlock, _ schema: FeatureSchema, labelBranch: String?, split: JobDescription.Split) throws(FormatError) -> BlockRows {
        let branches = schema.inputs.map(\.branch) + (labelBranch.map { [$0] } ?? [])
        let (batch, _) = try read(block.url, tree: block.tree, identity: block.identity, branches, block.first..<block.end)
        let splitter = Splitter(split, identity: block.identity)
        var entries: [[Int]] = [[], [], []]
        for entry in block.first..<block.end { entries[splitter.part(entry).rawValue].append(Int(entry - block.first)) }
        let builder = RowBuilder(schema)
        let result = BlockRows()
        for part in 0..<3 {
            guard entries[part].count == block.rows[part] else {
                throw FormatError(.corrupt, "a block gives other rows than in the specs stage", file: block.url, expected: "\(block.rows[part])", found: "\(entries[part].count)")
            }
            result.truncated += builder.append(batch, entries[part], to: &result.rows[part])
            if labelBranch != nil {
                result.labels[part] = try RowBuilder.labels(batch.columns.last!, entries[part])
            } else {
                result.labels[part] = .init(repeating: Int32(block.label), count: entries[part].count)
            }
        }
        return result
    }
}

/// Raw feature rows and labels of one block: train, validation, test.
package final class BlockRows: @unchecked Sendable {
    package fileprivate(set) var rows: [[Float]] = [[], [], []]
    package fileprivate(set) var labels: [[Int32]] = [[], [], []]
    /// Values left out because a multiplicity was beyond the padding.
    package fileprivate(set) var truncated: Int64 = 0

    package init(rows: [[Float]] = [[], [], []], labels: [[Int32]] = [[], [], []]) {
        self.rows = rows
        self.labels = labels
    }

    package var bytes: Int { rows.reduce(0) { $0 + 4 * $1.count } }
}

/// Files that a worker has open, with their trees' metadata; bounded, shared by its threads.
package final class OpenFiles: Sendable {
    package struct Opened: Sendable {
        package let file: RootFile
        package let tree: TreeDescription
    }

    private let held = Mutex<[(key: String, opened: Opened)]>([])
    private let limit: Int

    package init(limit: Int = 32) { self.limit = limit }

    func open(_ url: String, tree: String, options: StorageOptions) throws(FormatError) -> Opened {
        let key = url + "|" + tree
        let known: Opened? = held.withLock { held in
            guard let index = held.firstIndex(where: { $0.key == key }) else { return nil }
            let entry = held.remove(at: index)
            held.append(entry)
            return entry.opened
        }
        if let known { return known }
        let file = try RootFile(url: url, options: options)
        let opened = Opened(file: file, tree: try file.tree(tree))
        held.withLock { held in
            held.append((key, opened))
            if held.count > limit { held.removeFirst() }
        }
        return opened
    }

    /// After an error: the next read opens the file anew.
    func forget(_ url: String, tree: String) {
        held.withLock { $0.removeAll { $0.key == url + "|" + tree } }
    }
}
