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
        let opened = try files.open(url, tree: tree, options: options, permit: permit)
        return Survey(
            bytes: opened.file.source.size, identity: try identity(opened.file), entries: opened.tree.entries,
            boundaries: opened.tree.entries == 0 ? [0] : opened.tree.blockBoundaries(),
            branches: opened.branches.map { name, branch in
                SurveyedBranch(
                    name: name, type: branch.numbers?.type.name ?? branch.typeName,
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

    /// Reads branches for a range of entries and gives their columns one after the other, each with the place it was asked for at.
    /// - Returns: the bytes that travelled.
    private func forEachColumn(
        _ url: String, tree: String, identity expected: String, _ branches: [String], _ entries: Range<Int64>,
        _ body: (Int, Column) throws(FormatError) -> Void
    ) throws(FormatError) -> Int {
        try permit(url)
        let opened = try files.open(url, tree: tree, options: options, permit: permit)
        if !expected.hasPrefix("sha256:"), opened.file.header.uuid.map(Self.hex).joined() != expected {
            throw FormatError(.corrupt, "the file is not the one that was surveyed: its identity changed", file: url, expected: expected)
        }
        do throws(FormatError) {
            var bytes = 0
            // Branches of friends lie in other trees, of other files perhaps.
            for part in try opened.locate(branches) {
                let plan = try EntryPlan(tree: part.opened.tree, branches: part.branches, entries: entries)
                let fetched = try part.opened.file.source.read(plan.ranges)
                bytes += fetched.transferred
                try decoder.forEachColumn(plan, fetched) { (index, column) throws(FormatError) in try body(part.places[index], column) }
            }
            return bytes
        } catch {
            files.forget(url, tree: tree)
            throw error.located(file: url)
        }
    }

    /// The partial specs of a chunk, encoded, and the bytes that travelled.
    package func specs(_ task: ChunkTask) throws(FormatError) -> (specs: [UInt8], bytesRead: Int) {
        let first = task.boundaries[0]
        let splitter = Splitter(task.split, identity: task.identity)
        let parts = (first..<task.boundaries.last!).map { UInt8(splitter.part($0).rawValue) }
        let ranges = zip(task.boundaries, task.boundaries.dropFirst()).map { Int($0 - first)..<Int($1 - first) }
        let scanner = SpecsScanner(parts: parts, ranges: ranges, branches: task.branches.count)
        let bytes = try forEachColumn(task.url, tree: task.tree, identity: task.identity, task.branches, first..<task.boundaries.last!) { place, column in
            scanner.add(column, place)
        }
        return (SpecsCoding.encode(scanner.blocks), bytes)
    }

    /// The feature rows of a block, part by part.
    package func rows(_ block: TrainingBlock, _ schema: FeatureSchema, labelBranch: String?, split: JobDescription.Split) throws(FormatError) -> BlockRows {
        let branches = schema.inputs.map(\.branch) + (labelBranch.map { [$0] } ?? [])
        var columns = [Column?](repeating: nil, count: branches.count)
        _ = try forEachColumn(block.url, tree: block.tree, identity: block.identity, branches, block.first..<block.end) { columns[$0] = $1 }
        let batch = ColumnBatch(first: block.first, entries: Int(block.end - block.first), names: branches, columns: columns.map { $0! })
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
