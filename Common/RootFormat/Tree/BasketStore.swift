import Bytes
import Columns

/// The baskets of one branch; its leaves share them.
final class BasketStore: Sendable {
    let baskets: [Basket]
    /// Where the writer left the entries' offsets out, or the items' size is in doubt: the flat branch that counts
    /// them.
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
