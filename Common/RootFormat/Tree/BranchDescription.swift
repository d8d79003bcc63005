import Bytes
package import Columns

/// One column of a tree: a branch, or one leaf of a branch with several.
package struct BranchDescription: Sendable {
    /// The branches' names from the top joined by `/`; a leaf of several is added after a dot.
    package let name: String
    /// The branch's path without the leaf.
    package let branchPath: String
    /// The leaf's name, where the branch has several.
    package let leafName: String?
    /// The leaf's index in its branch.
    package let leafIndex: Int
    package let title: String
    /// The C++ type.
    package let typeName: String
    package let content: Content
    /// The branch that counts the items of a jagged one, where there is one.
    package let counter: String?
    package let entries: Int64
    package let compressedBytes: Int64
    package let uncompressedBytes: Int64
    let storage: BranchStorage

    /// What a branch's values are.
    package enum Content: Sendable, Equatable {
        case numbers(DataType, Shape)
        /// Characters: the innermost level of the shape.
        case text(Shape)
        case unsupported(reason: String)
    }

    package var numbers: (type: DataType, shape: Shape)? {
        if case .numbers(let type, let shape) = content { (type, shape) } else { nil }
    }
    package var unsupportedReason: String? { if case .unsupported(let reason) = content { reason } else { nil } }

    /// What a column of it is: numbers, or the bytes of text.
    package var column: (type: DataType, shape: Shape)? {
        switch content {
        case .numbers(let type, let shape): (type, shape)
        case .text(let shape): (.uint8, shape)
        case .unsupported: nil
        }
    }

    /// Baskets of a TTree's branch, pages of an RNTuple's column.
    package var basketCount: Int {
        switch storage {
        case .baskets(let store, _): store.baskets.count
        case .pages(let column): column.pageCount
        }
    }

    /// The entries that its baskets or clusters hold.
    var heldEntries: Int64 {
        switch storage {
        case .baskets(let store, _): store.baskets.last.map { $0.firstEntry.addingClamped($0.entries) } ?? 0
        case .pages(let column): column.pages.clusters.last.map { $0.firstEntry.addingClamped($0.entries) } ?? 0
        }
    }

    /// The entries in pieces of whole baskets or clusters of about `bytes` inflated bytes each: how to read it through
    /// once.
    package func pieces(bytes limit: Int64, entries: Int64) -> [Range<Int64>] {
        let perEntry = max(1, uncompressedBytes / max(1, self.entries))
        // Never more than a million pieces, whatever size the tree declares.
        let most = max(1, min(1 << 20, limit / perEntry), entries >> 20)
        var pieces: [Range<Int64>] = []
        var start: Int64 = 0
        func cut(at end: Int64) {
            let end = min(end, entries)
            while end - start > 2 * most {
                pieces.append(start..<start + most)
                start += most
            }
            if end - start >= most || end == entries, end > start {
                pieces.append(start..<end)
                start = end
            }
        }
        switch storage {
        case .baskets(let store, _): for basket in store.baskets { cut(at: basket.firstEntry + basket.entries) }
        case .pages(let column): for cluster in column.pages.clusters { cut(at: cluster.firstEntry + cluster.entries) }
        }
        if start < entries { pieces.append(start..<entries) }
        return pieces
    }

    /// Whether one reading gives this column and the other: they are members of one streamed object.
    package func sharesReading(with other: BranchDescription) -> Bool {
        guard case .baskets(_, .recipe(let mine, _)) = storage, case .baskets(_, .recipe(let theirs, _)) = other.storage
        else { return false }
        return mine === theirs
    }

    /// A unit in brackets at the title's end: `[GeV]`.
    package var unit: String? {
        guard title.hasSuffix("]"), let open = title.lastIndex(of: "["), open > title.startIndex else { return nil }
        let text = title[title.index(after: open)...].dropLast()
        guard title[title.index(before: open)] == " ", text.contains(where: \.isLetter), !text.contains(",") else {
            return nil
        }
        return String(text)
    }
}
