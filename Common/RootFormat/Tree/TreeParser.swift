import Bytes
import Columns

/// Turns a streamed TTree into descriptions of its columns.
struct TreeParser {
    let object: StreamedObject
    let catalog: StreamerCatalog
    /// The inflated bytes of a basket; nil where they cannot be read.
    let bytes: (BasketStore.Basket) -> [UInt8]?

    func branches() -> [BranchDescription] {
        var found: [BranchDescription] = []
        // A damaged file may name a branch as its own child.
        var visited: Set<ObjectIdentifier> = []
        for branch in object.list("fBranches") { visit(branch, path: "", &visited, into: &found) }
        return found
    }

    private func visit(
        _ branch: StreamedObject, path: String, _ visited: inout Set<ObjectIdentifier>, depth: Int = 0,
        into found: inout [BranchDescription]
    ) {
        guard depth < 100 else { return }
        guard visited.insert(ObjectIdentifier(branch)).inserted, visited.count < 1_000_000, path.utf8.count < 10_000
        else { return }
        let name = branch.string("fName")
        let full = path.isEmpty ? name : path + "/" + name
        let children = branch.list("fBranches")
        let baskets = Self.baskets(of: branch)
        let reading = BranchReading(branch, catalog: catalog, itemClass: itemClass(of: branch, baskets))
        if children.isEmpty || (!baskets.isEmpty && reading.hasData) || reading.isCounter {
            describe(branch, full, reading, baskets, into: &found)
        }
        for child in children { visit(child, path: full, &visited, depth: depth + 1, into: &found) }
    }

    private func describe(
        _ branch: StreamedObject, _ path: String, _ reading: BranchReading, _ baskets: [BasketStore.Basket],
        into found: inout [BranchDescription]
    ) {
        let store = BasketStore(baskets, counter: counter(of: branch))
        for (index, column) in reading.columns.enumerated() {
            found.append(
                BranchDescription(
                    name: column.name.map { path + "." + $0 } ?? path, branchPath: path, leafName: column.name,
                    leafIndex: index,
                    title: branch.string("fTitle"), typeName: column.typeName, content: column.content,
                    counter: column.counter,
                    entries: min(max(0, branch.integer("fEntries")), TreeDescription.maxEntries),
                    compressedBytes: max(0, branch.integer("fZipBytes")),
                    uncompressedBytes: max(0, branch.integer("fTotBytes")), storage: .baskets(store, column.layout)))
        }
    }

    /// The class of a TClonesArray's items: no description has it, but every entry of a branch that is not split.
    private func itemClass(of branch: StreamedObject, _ baskets: [BasketStore.Basket]) -> String? {
        guard branch.className == "TBranchObject", branch.string("fClassName") == "TClonesArray",
            let first = baskets.first, let bytes = bytes(first)
        else { return nil }
        return try? Self.itemClass(bytes)
    }

    private static func itemClass(_ entry: [UInt8]) throws(InputError) -> String {
        var reader = ByteReader(entry.span.bytes)
        // The array's own class and a zero, its header, its TObject, its name.
        let length = Int(try reader.u8())
        try reader.skip(length + 1)
        _ = try VersionHeader(&reader)
        _ = try VersionHeader(&reader)
        try reader.skip(4)
        if try reader.u32() & 0x10 != 0 { try reader.skip(2) }
        _ = try reader.rootString()
        return String(try reader.rootString().prefix { $0 != ";" })
    }

    /// The branch that counts this one's items, where it has to be read as well: entry offsets were left out
    /// (kGenerateOffsetMap), or the items' size is in doubt.
    private func counter(
        of branch: StreamedObject
    ) -> (store: BasketStore, layout: BranchStorage.Layout, type: DataType)? {
        guard let counting = leafCounter(of: branch) ?? collection(of: branch) else { return nil }
        let reading = BranchReading(counting, catalog: catalog)
        guard reading.columns.count == 1, case .numbers(let type, .flat) = reading.columns[0].content,
            !type.isFloatingPoint
        else { return nil }
        return (BasketStore(Self.baskets(of: counting)), reading.columns[0].layout, type)
    }

    /// The branch with the leaf that counts, where entry offsets were left out.
    private func leafCounter(of branch: StreamedObject) -> StreamedObject? {
        guard branch.object("fIOFeatures").map({ $0.integer("fIOBits") & 1 != 0 }) == true,
            let name = branch.list("fLeaves").first?.object("fLeafCount")?.string("fName")
        else { return nil }
        return object.list("fBranches").first { candidate in
            candidate !== branch && candidate.list("fLeaves").contains { $0.string("fName") == name }
        }
    }

    /// The split collection whose items' member the branch holds, where versions of their class differ in its size.
    private func collection(of branch: StreamedObject) -> StreamedObject? {
        guard [31, 41].contains(branch.integer("fType")), let counting = branch.object("fBranchCount") else {
            return nil
        }
        let name = branch.string("fName").prefix { $0 != "[" }
        let member = name.lastIndex(of: ".").map { name[name.index(after: $0)...] } ?? name
        return catalog.isAmbiguous(branch.string("fClassName"), member: member) ? counting : nil
    }

    private static func baskets(of branch: StreamedObject) -> [BasketStore.Basket] {
        let seeks = branch.integers("fBasketSeek")
        let lengths = branch.integers("fBasketBytes")
        let starts = branch.integers("fBasketEntry")
        let written = Int(branch.integer("fWriteBasket"))
        let total = min(branch.integer("fEntries"), TreeDescription.maxEntries)
        var found: [BasketStore.Basket] = []
        var next: Int64 = 0
        for index in seeks.indices
        where index < written && index < lengths.count && index < starts.count && seeks[index] != 0 {
            let end =
                index + 1 < starts.count && (index + 1 < written || starts[index + 1] > starts[index])
                ? starts[index + 1] : total
            guard starts[index] == next, end > starts[index], end <= TreeDescription.maxEntries else { continue }
            found.append(
                .init(
                    firstEntry: next, entries: end - next,
                    location: .stored(offset: Int(seeks[index]), length: Int(lengths[index]))))
            next = end
        }
        for basket in branch.list("fBaskets").compactMap(\.basket) where basket.entries > 0 && next < total {
            found.append(.init(firstEntry: next, entries: Int64(basket.entries), location: .embedded(basket)))
            next += Int64(basket.entries)
        }
        return found
    }

    /// Cluster boundaries as the writer recorded them; a tree without them is one cluster.
    static func clusters(_ tree: StreamedObject, _ branches: [BranchDescription]) -> [Int64] {
        let entries = max(0, tree.integer("fEntries"))
        let ends = tree.integers("fClusterRangeEnd")
        let sizes = tree.integers("fClusterSize")
        var boundaries: [Int64] = [0]
        func extend(to end: Int64, by size: Int64) {
            let start = boundaries.last!
            // A step that would make more than a million clusters is damage, and one of 0 or less means none.
            guard end > start else { return }
            guard size > 0, (end - start) / size < 1_000_000, boundaries.count < 2_000_000 else {
                return boundaries.append(end)
            }
            var next = start
            while next < end {
                next += min(size, end - next)
                boundaries.append(next)
            }
        }
        for (end, size) in zip(ends, sizes) { extend(to: end < entries ? end + 1 : entries, by: size) }
        extend(to: entries, by: tree.integer("fAutoFlush"))
        return boundaries.count > 2 ? boundaries : commonBoundaries(branches, entries) ?? boundaries
    }

    /// Where the writer named no clusters: the entries at which the baskets of all branches end together.
    private static func commonBoundaries(_ branches: [BranchDescription], _ entries: Int64) -> [Int64]? {
        var common: [Int64]?
        for branch in branches {
            guard case .baskets(let store, _) = branch.storage, branch.entries == entries else { return nil }
            let ends = store.baskets.map { $0.firstEntry + $0.entries }
            guard let known = common else {
                common = ends
                continue
            }
            if known == ends { continue }
            var (left, right) = (0, 0)
            var both: [Int64] = []
            while left < known.count, right < ends.count {
                if known[left] == ends[right] { both.append(known[left]) }
                if known[left] <= ends[right] { left += 1 } else { right += 1 }
            }
            common = both
        }
        guard let common, common.count > 1, common.last == entries, common.first! > 0,
            zip(common, common.dropFirst()).allSatisfy(<)
        else { return nil }
        return [0] + common
    }
}
