import Bytes
import Columns

/// One column of an RNTuple as its field tree gives it.
final class NTupleColumn: Sendable {
    enum Step: Sendable {
        /// A collection: an index column gives the ends of its items.
        case collection([Int])
        case fixed(Int)
        /// An alternative of a variant: items where the tag is this.
        case alternative([Int], tag: UInt32)
    }

    enum Leaf: Sendable {
        case numbers([Int])
        /// The number of items of a collection.
        case cardinality([Int])
    }

    let pages: NTuplePages
    let steps: [Step]
    let leaf: Leaf

    init(pages: NTuplePages, steps: [Step], leaf: Leaf) {
        self.pages = pages
        self.steps = steps
        self.leaf = leaf
    }

    /// The physical columns of the leaf, one for each representation.
    var leafColumns: [Int] {
        switch leaf {
        case .numbers(let columns), .cardinality(let columns): columns
        }
    }

    var pageCount: Int {
        pages.clusters.reduce(0) { sum, cluster in sum + leafColumns.reduce(0) { $0 + cluster.column($1).pages.count } }
    }
}
