import Bytes
import Columns

/// A tree as its metadata describe it: no data read yet.
package struct TreeDescription: Sendable {
    /// More entries than any file has: what announces more is damaged, and would cost memory before it is found out.
    static let maxEntries: Int64 = 1 << 35

    package let path: String
    package let title: String
    package let entries: Int64
    package let branches: [BranchDescription]
    /// The first entries of the clusters, from 0, and the number of entries last.
    package let clusterBoundaries: [Int64]
    /// Trees whose entries belong to this one's, one by one.
    package let friends: [Friend]

    package struct Friend: Sendable, Equatable {
        /// What its branches are called by: `name.branch`.
        package let name: String
        package let tree: String
        /// The file it lies in; empty for the same one. A relative path counts from there.
        package let file: String
    }

    init(
        path: String, title: String, entries: Int64, branches: [BranchDescription], clusterBoundaries: [Int64],
        friends: [Friend] = []
    ) {
        self.path = path
        self.title = title
        self.entries = entries
        self.branches = branches
        self.clusterBoundaries = clusterBoundaries
        self.friends = friends
    }

    package var compressedBytes: Int64 { total(\.compressedBytes) }
    package var uncompressedBytes: Int64 { total(\.uncompressedBytes) }

    private func total(_ bytes: KeyPath<BranchDescription, Int64>) -> Int64 {
        branches.reduce(0) { sum, branch in sum.addingClamped(branch.leafIndex == 0 ? branch[keyPath: bytes] : 0) }
    }

    package func branch(_ name: String) -> BranchDescription? { branches.first { $0.name == name } }

    /// The boundaries of the tree's blocks: whole clusters joined up to `limit` entries, longer ones cut into pieces of
    /// `limit`. They depend on the tree alone.
    package func blockBoundaries(limit: Int64 = 8192) -> [Int64] {
        var blocks: [Int64] = [0]
        for (start, end) in zip(clusterBoundaries, clusterBoundaries.dropFirst()) {
            if blocks.count > 1, end - blocks[blocks.count - 2] <= limit {
                blocks[blocks.count - 1] = end
                continue
            }
            var next = start
            while next < end {
                next = min(end, next + limit)
                blocks.append(next)
            }
        }
        return blocks
    }
}

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

enum BranchStorage: Sendable {
    case baskets(BasketStore, Layout)
    case pages(NTupleColumn)

    /// How a column's values lie in the entries of a TTree's baskets.
    enum Layout: Sendable {
        /// Every entry has `entrySize` bytes; the values begin at `offset` in it.
        case fixed(offset: Int, entrySize: Int, Encoding)
        /// The entry is `header` bytes, then items to its end.
        case counted(header: Int, Encoding)
        case recipe(BranchRecipe, leaf: Int)

        /// What its values become; a recipe's columns have their own.
        var type: DataType? {
            switch self {
            case .fixed(_, _, let encoding), .counted(_, let encoding): encoding.type
            case .recipe: nil
            }
        }
    }
}

/// The baskets of one branch; its leaves share them.
final class BasketStore: Sendable {
    let baskets: [Basket]
    /// Where the writer left the entries' offsets out: the flat branch that counts the items.
    let counter: (store: BasketStore, layout: BranchStorage.Layout, type: DataType)?

    init(_ baskets: [Basket], counter: (store: BasketStore, layout: BranchStorage.Layout, type: DataType)? = nil) {
        self.baskets = baskets
        self.counter = counter
    }

    /// Entries of a branch that were compressed together.
    struct Basket: Sendable {
        enum Location: Sendable {
            /// Bytes of the file.
            case stored(offset: Int, length: Int)
            /// The tree's own record.
            case embedded(EmbeddedBasket)
        }

        let firstEntry: Int64
        let entries: Int64
        let location: Location
    }

    /// The indices of the baskets that hold any of `range`.
    func indices(_ range: Range<Int64>) -> Range<Int> {
        let lower = baskets.partitioningIndex { $0.firstEntry + $0.entries > range.lowerBound }
        let upper = baskets.partitioningIndex { $0.firstEntry >= range.upperBound }
        return lower..<max(lower, upper)
    }
}

extension Int64 {
    /// The sum, or the largest number where it does not fit.
    func addingClamped(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}

extension Array {
    /// The first index whose element satisfies `predicate`, where all after it do.
    func partitioningIndex(where predicate: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if predicate(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
