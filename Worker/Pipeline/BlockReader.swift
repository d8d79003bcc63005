package import Bytes
package import Cluster
import Columns
package import Features
import RootFormat
package import Sampling
import Specs
package import Storage

/// Reads what tasks name: lists, surveys, partial specs, feature rows. Its calls block; one thread uses one reader.
package final class BlockReader {
    private let resources: ReadResources
    private let local: LocalFiles
    private let isStopped: @Sendable () -> Bool
    private let decoder = ColumnDecoder()

    /// - Parameters:
    ///   - localRoots: the directories below which local files may be read.
    ///   - followsLinks: links below them may lead out of them.
    ///   - isStopped: asked at each step of the work: whether nobody waits for it any more.
    package init(
        _ resources: ReadResources, localRoots: [String], followsLinks: Bool = false,
        isStopped: @escaping @Sendable () -> Bool = { false }
    ) {
        self.resources = resources
        local = LocalFiles(below: localRoots, followsLinks: followsLinks)
        self.isStopped = isStopped
    }

    private func step() throws(InputError) {
        if isStopped() { throw InputError(.input, "the task was stopped, since nobody waits for it any more") }
    }

    /// The files that a pattern names: see `FileLister`.
    package func list(_ pattern: String) throws(InputError) -> Listing {
        try FileLister(board: resources.board, local: local, isStopped: isStopped).expand(pattern)
    }

    /// Opens a file and describes the tree: its identity, entries, blocks, clusters and branches.
    /// - Parameter verify: compares each replica's checksum.
    package func survey(_ file: FileReplicas, tree: String, verify: Bool) throws(InputError) -> Survey {
        let opened = try resources.files.open(file, tree: tree, identity: nil, verify: verify, local: local)
        try step()
        var survey = Survey(
            bytes: opened.file.source.size, identity: opened.identity, adler32: opened.adler32,
            entries: opened.tree.entries,
            boundaries: opened.tree.entries == 0 ? [0] : opened.tree.blockBoundaries(),
            clusters: opened.tree.clusterBoundaries,
            branches: opened.branches.map { name, branch in
                SurveyedBranch(
                    name: name, type: branch.numbers?.type.name ?? branch.typeName,
                    fixedValues: branch.numbers?.shape.fixedValues,
                    itemValues: branch.numbers?.shape.itemValues ?? 1,
                    unsupported: branch.numbers == nil ? branch.unsupportedReason ?? "text is not numeric" : nil)
            })
        survey.version = opened.version
        return survey
    }

    /// Reads branches for a range of entries and hands over their columns one after the other, each with its index in
    /// `branches`.
    /// - Returns: the bytes that travelled.
    private func forEachColumn(
        _ opened: OpenedTree, _ branches: [String], _ entries: Range<Int64>,
        _ body: (Int, Column) throws(InputError) -> Void
    ) throws(InputError) -> Int {
        var bytes = 0
        // Branches of friends lie in other trees, of other files perhaps.
        for part in try opened.locate(branches) {
            try step()
            let plan = try EntryPlan(tree: part.opened.tree, branches: part.branches, entries: entries)
            bytes += try resources.holding(plan.ranges.reduce(0) { $0 + $1.length }) { () throws(InputError) in
                let fetched = try part.opened.source.read(plan.ranges)
                try resources.computing { () throws(InputError) in
                    try decoder.forEachColumn(plan, fetched) { (index, column) throws(InputError) in
                        try step()
                        try body(part.indices[index], column)
                    }
                }
                return fetched.transferred
            }
        }
        return bytes
    }

    /// The partial specs of a chunk, encoded, and the bytes that travelled.
    package func specs(_ task: ChunkTask, _ plan: ChunkPlan) throws(InputError) -> (specs: [UInt8], bytesRead: Int) {
        try resources.files.reading(task.input, local: local) { (opened) throws(InputError) in
            try specs(task, plan, opened)
        }
    }

    private func specs(
        _ task: ChunkTask, _ plan: ChunkPlan, _ opened: OpenedTree
    ) throws(InputError) -> (specs: [UInt8], bytesRead: Int) {
        let first = task.boundaries[0]
        let splitter = Splitter(plan.split, identity: task.input.identity)
        let parts = (first..<task.boundaries.last!).map { UInt8(splitter.part($0).rawValue) }
        let ranges = zip(task.boundaries, task.boundaries.dropFirst()).map { Int($0 - first)..<Int($1 - first) }
        let scanner = SpecsScanner(parts: parts, ranges: ranges, branches: plan.branches.count)
        let bytes = try forEachColumn(opened, plan.branches, first..<task.boundaries.last!) { index, column in
            scanner.add(column, index)
        }
        return (SpecsCoding.encode(scanner.blocks), bytes)
    }

    /// The samples of a block.
    ///
    /// - Parameters:
    ///   - input: the file and tree that the block lies in.
    ///   - schema: its channels are read; and its target, where it has one: then all entries have the class 0.
    ///   - labelBranch: the branch that gives each entry's class; nil where the block's label is that of all.
    /// - Throws: `InputError` where the block cannot be read, or gives other numbers of samples than the specs stage
    ///   counted.
    package func events(
        _ block: TrainingBlock, of input: InputTree, _ schema: DataSchema, labelBranch: String?,
        split: JobDescription.Split
    ) throws(InputError) -> EventStore {
        let truth = schema.target?.branch ?? labelBranch
        let branches = schema.channels.map(\.branch) + (truth.map { [$0] } ?? [])
        var columns = [Column?](repeating: nil, count: branches.count)
        try resources.files.reading(input, local: local) { (opened) throws(InputError) in
            _ = try forEachColumn(opened, branches, block.first..<block.end) { columns[$0] = $1 }
        }
        let batch = ColumnBatch(
            first: block.first, entries: Int(block.end - block.first), names: branches,
            columns: columns.compactMap { $0 })
        let splitter = Splitter(split, identity: input.identity)
        var entries = PartTable<[Int]>(repeating: [])
        for entry in block.first..<block.end { entries[splitter.part(entry)].append(Int(entry - block.first)) }
        for part in SplitPart.allCases where entries[part].count != block.rows[part] {
            throw InputError(
                .corrupt, "the \(part) part of a block has other samples than in the specs stage",
                file: input.file.url, expected: "\(block.rows[part])", found: "\(entries[part].count)")
        }
        if let target = schema.target {
            let column = batch.columns[batch.columns.count - 1]
            let targets = try entries.map { (entries) throws(InputError) in
                try TargetReader.targets(
                    column, entries, branch: target.branch, first: block.first, file: input.file)
            }
            return try EventStore(
                schema, batch, entries: entries, labels: entries.map { .init(repeating: 0, count: $0.count) },
                targets: targets)
        }
        let labels =
            try labelBranch.map { _ throws(InputError) in
                let column = batch.columns[batch.columns.count - 1]
                return try entries.map { (entries) throws(InputError) in try LabelReader.labels(column, entries) }
            } ?? entries.map { .init(repeating: Int32(block.label), count: $0.count) }
        return try EventStore(schema, batch, entries: entries, labels: labels)
    }
}
