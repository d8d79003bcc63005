import Bytes
import Columns

/// A tree as its metadata describe it: no data read yet.
package struct TreeDescription: Sendable {
    package let path: String
    package let title: String
    package let entries: Int64
    package let branches: [BranchDescription]
    /// The first entries of the clusters, from 0, and the number of entries last.
    package let clusterBoundaries: [Int64]

    package var compressedBytes: Int64 { branches.reduce(0) { $0 + ($1.leafIndex == 0 ? $1.compressedBytes : 0) } }
    package var uncompressedBytes: Int64 { branches.reduce(0) { $0 + ($1.leafIndex == 0 ? $1.uncompressedBytes : 0) } }

    package func branch(_ name: String) -> BranchDescription? { branches.first { $0.name == name } }

    /// The boundaries of the tree's blocks: whole clusters joined up to `limit` entries, longer ones cut into pieces of `limit`.
    /// They depend on the tree alone.
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
    /// The leaf's place in its branch.
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
    let baskets: [Basket]

    package enum Content: Sendable, Equatable {
        case numbers(DataType, Shape)
        case unsupported(reason: String)
    }

    package var numbers: (type: DataType, shape: Shape)? { if case .numbers(let type, let shape) = content { (type, shape) } else { nil } }
    package var unsupportedReason: String? { if case .unsupported(let reason) = content { reason } else { nil } }
    package var basketCount: Int { baskets.count }

    /// How one entry's bytes are laid out.
    let layout: Layout

    struct Layout: Sendable {
        /// Fixed size: bytes from the entry's start to this leaf, and of the whole entry.
        var leafOffset = 0
        var entrySize = 0
        /// Jagged: bytes before the items (a vector's header).
        var headerSize = 0
    }

    struct Basket: Sendable {
        enum Place: Sendable {
            case stored(offset: Int, length: Int)
            case embedded(EmbeddedBasket)
        }

        let firstEntry: Int64
        let entries: Int64
        let place: Place
    }

    /// The indices of the baskets that hold any of `range`.
    func basketIndices(_ range: Range<Int64>) -> Range<Int> {
        let lower = baskets.partitioningIndex { $0.firstEntry + $0.entries > range.lowerBound }
        let upper = baskets.partitioningIndex { $0.firstEntry >= range.upperBound }
        return lower..<max(lower, upper)
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
