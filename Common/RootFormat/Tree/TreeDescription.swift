package import Bytes
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
    /// For each name the first branch that has it: tasks ask for thousands of branches, again and again.
    private let indices: [String: Int]

    /// Another tree whose entries belong to this one's, by their numbers.
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
        indices = Dictionary(branches.indices.map { (branches[$0].name, $0) }) { first, _ in first }
    }

    package var compressedBytes: Int64 { total(\.compressedBytes) }
    package var uncompressedBytes: Int64 { total(\.uncompressedBytes) }

    private func total(_ bytes: KeyPath<BranchDescription, Int64>) -> Int64 {
        branches.reduce(0) { sum, branch in sum.addingClamped(branch.leafIndex == 0 ? branch[keyPath: bytes] : 0) }
    }

    /// The branch with this name, the first of several; nil where there is none.
    package func branch(_ name: String) -> BranchDescription? { indices[name].map { branches[$0] } }

    /// - Throws: `InputError` where the tree declares more entries than any of its branches holds: a damaged number
    ///   would be planned for, and found out long after.
    package func checkEntries() throws(InputError) {
        let held = branches.map(\.heldEntries).max() ?? entries
        guard entries <= held else {
            throw InputError(
                .corrupt, "the tree declares more entries than its branches hold", object: "the tree \(path)",
                expected: "at most \(held)", found: "\(entries)",
                hint: "The file is damaged: fetch it again or use another replica.")
        }
    }

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
