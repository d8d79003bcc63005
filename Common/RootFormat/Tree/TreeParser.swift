import Bytes
import Columns

extension RootFile {
    /// Reads a tree's metadata.
    /// - Parameter path: `directory/name`; the highest cycle is taken.
    package func tree(_ path: String) throws(FormatError) -> TreeDescription {
        guard let found = treeKeys.first(where: { $0.path == path }) else {
            let trees = treeKeys.map(\.path)
            throw FormatError(
                .missing, "the file has no tree \(path.debugDescription)", file: url,
                found: trees.isEmpty ? "no tree at all" : "the trees " + trees.prefix(20).joined(separator: ", "))
        }
        return try tree(found)
    }

    package func tree(_ entry: DirectoryKey) throws(FormatError) -> TreeDescription {
        do throws(FormatError) {
            let bytes = try payload(entry.key)
            var reader = ByteReader(bytes.span.bytes)
            var objects = ObjectReader(catalog: streamers, displacement: entry.key.headerLength)
            let object = try objects.object(of: entry.key.className, &reader)
            guard object.integer("fEntries") <= 1 << 40 else {
                throw FormatError(.limit, "the tree's number of entries is not believable", found: "\(object.integer("fEntries"))")
            }
            guard object.has("fEntries"), object.has("fBranches") else {
                throw FormatError(.unsupported, "the file does not describe its class \(entry.key.className)")
            }
            let branches = TreeParser(object: object).branches()
            return TreeDescription(
                path: entry.path, title: entry.key.title, entries: object.integer("fEntries"), branches: branches,
                clusterBoundaries: TreeParser.clusters(object))
        } catch { throw error.located(file: url, object: "the tree \(entry.path)") }
    }
}

/// Turns a streamed TTree into descriptions of its columns.
struct TreeParser {
    let object: StreamedObject

    func branches() -> [BranchDescription] {
        var found: [BranchDescription] = []
        // A damaged file may name a branch as its own child.
        var visited: Set<ObjectIdentifier> = []
        for branch in object.list("fBranches") { visit(branch, path: "", &visited, into: &found) }
        return found
    }

    private func visit(_ branch: StreamedObject, path: String, _ visited: inout Set<ObjectIdentifier>, into found: inout [BranchDescription]) {
        guard visited.insert(ObjectIdentifier(branch)).inserted, visited.count < 1_000_000 else { return }
        let name = branch.string("fName")
        let full = path.isEmpty ? name : path + "/" + name
        let children = branch.list("fBranches")
        let leaves = branch.list("fLeaves")
        let baskets = baskets(of: branch)
        if children.isEmpty || !baskets.isEmpty {
            describe(branch, full, leaves, baskets, into: &found)
        }
        for child in children { visit(child, path: full, &visited, into: &found) }
    }

    private func describe(
        _ branch: StreamedObject, _ path: String, _ leaves: [StreamedObject], _ baskets: [BranchDescription.Basket],
        into found: inout [BranchDescription]
    ) {
        let sizes = leaves.map { LeafReading(leaf: $0).byteSize }
        let entrySize = sizes.reduce(0, +)
        let several = leaves.count > 1
        for (index, leaf) in leaves.enumerated() {
            var reading = LeafReading(leaf: leaf)
            var layout = BranchDescription.Layout(leafOffset: sizes[..<index].reduce(0, +), entrySize: entrySize)
            if branch.className == "TBranchElement" {
                reading = LeafReading(element: branch)
                layout.headerSize = 10
            } else if branch.className != "TBranch" {
                reading.refuse("a \(branch.className) is not read yet")
            } else if several, reading.isJagged || sizes.contains(0) {
                reading.refuse("a leaf of varying length beside other leaves is not read yet")
            } else if reading.isJagged, branch.object("fIOFeatures").map({ $0.integer("fIOBits") & 1 != 0 }) == true {
                reading.refuse("entry offsets are left out (kGenerateOffsetMap), which is not read yet")
            }
            found.append(
                BranchDescription(
                    name: several ? path + "." + leaf.string("fName") : path, branchPath: path,
                    leafName: several ? leaf.string("fName") : nil, leafIndex: index, title: branch.string("fTitle"),
                    typeName: reading.typeName, content: reading.content, counter: leaf.object("fLeafCount")?.string("fName"),
                    entries: branch.integer("fEntries"), compressedBytes: branch.integer("fZipBytes"),
                    uncompressedBytes: branch.integer("fTotBytes"), baskets: baskets, layout: layout))
        }
    }

    private func baskets(of branch: StreamedObject) -> [BranchDescription.Basket] {
        let seeks = branch.integers("fBasketSeek")
        let lengths = branch.integers("fBasketBytes")
        let starts = branch.integers("fBasketEntry")
        let written = Int(branch.integer("fWriteBasket"))
        let total = branch.integer("fEntries")
        var found: [BranchDescription.Basket] = []
        var next: Int64 = 0
        for index in seeks.indices where index < written && index < lengths.count && index < starts.count && seeks[index] != 0 {
            let end = index + 1 < starts.count && (index + 1 < written || starts[index + 1] > starts[index]) ? starts[index + 1] : total
            guard starts[index] == next, end > starts[index] else { continue }
            found.append(.init(
                firstEntry: next, entries: end - next, place: .stored(offset: Int(seeks[index]), length: Int(lengths[index]))))
            next = end
        }
        for basket in branch.list("fBaskets").compactMap(\.basket) where basket.entries > 0 && next < total {
            found.append(.init(firstEntry: next, entries: Int64(basket.entries), place: .embedded(basket)))
            next += Int64(basket.entries)
        }
        return found
    }

    /// Cluster boundaries as the writer recorded them; a tree without them is one cluster.
    static func clusters(_ tree: StreamedObject) -> [Int64] {
        let entries = max(0, tree.integer("fEntries"))
        let ends = tree.integers("fClusterRangeEnd")
        let sizes = tree.integers("fClusterSize")
        var boundaries: [Int64] = [0]
        func extend(to end: Int64, by size: Int64) {
            let start = boundaries.last!
            // A step that would make more than a million clusters is damage, and one of 0 or less means none.
            guard end > start else { return }
            guard size > 0, (end - start) / size < 1_000_000 else { return boundaries.append(end) }
            var next = start
            while next < end {
                next += min(size, end - next)
                boundaries.append(next)
            }
        }
        for (end, size) in zip(ends, sizes) { extend(to: end < entries ? end + 1 : entries, by: size) }
        extend(to: entries, by: tree.integer("fAutoFlush"))
        return boundaries
    }
}

/// What a leaf holds.
private struct LeafReading {
    private(set) var typeName: String
    private(set) var content: BranchDescription.Content
    /// Bytes of one entry where it is fixed, else 0.
    private(set) var byteSize = 0

    var isJagged: Bool { if case .numbers(_, let shape) = content { shape.isJagged } else { false } }

    mutating func refuse(_ reason: String) { if case .numbers = content { content = .unsupported(reason: reason) } }

    init(leaf: StreamedObject) {
        let unsigned = leaf.integer("fIsUnsigned") != 0
        let type: DataType? =
            switch leaf.className {
            case "TLeafB": unsigned ? .uint8 : .int8
            case "TLeafS": unsigned ? .uint16 : .int16
            case "TLeafI": unsigned ? .uint32 : .int32
            case "TLeafL", "TLeafG": unsigned ? .uint64 : .int64
            case "TLeafF": .float32
            case "TLeafD": .float64
            case "TLeafO": .bool
            default: nil
            }
        guard let type else {
            typeName = leaf.className
            let reasons = [
                "TLeafC": "text (TLeafC) is not numeric", "TLeafF16": "packed reals (Float16_t) are not read yet",
                "TLeafD32": "packed reals (Double32_t) are not read yet", "TLeafObject": "an object (TLeafObject) is not read yet",
            ]
            content = .unsupported(reason: reasons[leaf.className] ?? "no reader for a \(leaf.className)")
            return
        }
        typeName = type.name
        let length = min(max(1, Int(leaf.integer("fLen"))), 1 << 28)
        let fixed = Self.dimensions(leaf.string("fTitle"))
        if leaf.object("fLeafCount") != nil {
            content = .numbers(type, .jagged(inner: length == 1 ? [] : fixed.reduce(1, *) == length ? fixed : [length]))
        } else {
            content = .numbers(type, length == 1 && fixed.isEmpty ? .flat : .fixed(fixed.reduce(1, *) == length ? fixed : [length]))
            byteSize = length * type.size
        }
    }

    /// The numeric dimensions in a leaf's title: `x[n][2][3]` has 2 and 3.
    private static func dimensions(_ title: String) -> [Int] {
        title.split(separator: "[").dropFirst().compactMap { Int($0.prefix { $0 != "]" }) }.filter { (1...1 << 20).contains($0) }.prefix(3).map { $0 }
    }

    init(element branch: StreamedObject) {
        let className = branch.string("fClassName")
        typeName = className
        if branch.integer("fID") < 0, branch.integer("fType") == 0, let type = Self.vectorElement(className) {
            content = .numbers(type, .jagged(inner: []))
        } else if branch.integer("fID") >= 0 || branch.integer("fType") != 0 {
            content = .unsupported(reason: "a member of the split class \(className) is not read yet")
        } else {
            content = .unsupported(reason: "the class \(className) is not read yet; of classes, only std::vector of numbers is")
        }
    }

    /// The number type in `vector<T>`.
    private static func vectorElement(_ name: String) -> DataType? {
        var text = name.hasPrefix("std::") ? String(name.dropFirst(5)) : name
        guard text.hasPrefix("vector<"), text.hasSuffix(">") else { return nil }
        text = String(text.dropFirst(7).dropLast().split(separator: ",", maxSplits: 1)[0]).filter { $0 != " " }
        let names: [String: DataType] = [
            "bool": .bool, "Bool_t": .bool, "char": .int8, "Char_t": .int8, "signedchar": .int8, "int8_t": .int8,
            "unsignedchar": .uint8, "UChar_t": .uint8, "uint8_t": .uint8, "short": .int16, "Short_t": .int16, "int16_t": .int16,
            "unsignedshort": .uint16, "UShort_t": .uint16, "uint16_t": .uint16, "int": .int32, "Int_t": .int32, "int32_t": .int32,
            "unsignedint": .uint32, "unsigned": .uint32, "UInt_t": .uint32, "uint32_t": .uint32, "long": .int64, "Long_t": .int64,
            "Long64_t": .int64, "longlong": .int64, "int64_t": .int64, "unsignedlong": .uint64, "ULong_t": .uint64,
            "ULong64_t": .uint64, "unsignedlonglong": .uint64, "uint64_t": .uint64, "float": .float32, "Float_t": .float32,
            "double": .float64, "Double_t": .float64,
        ]
        return names[text]
    }
}
