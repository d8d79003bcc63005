package import Bytes
import Columns
package import Storage

/// Which bytes of a file hold the wanted branches for a range of entries.
package struct EntryPlan: Sendable {
    package let entries: Range<Int64>
    /// Stored baskets or pages, in the order of the branches and of the entries.
    package let ranges: [ByteRange]
    let branches: [BranchDescription]
    let parts: [Part]

    /// Where a branch's data are.
    enum Part: Sendable {
        case baskets(BasketRun, counter: BasketRun?)
        case pages(NTuplePlan)
    }

    /// Baskets of a store one after another, and where the first stored one is in `ranges`.
    struct BasketRun: Sendable {
        let indices: Range<Int>
        let firstRange: Int
    }

    package init(tree: TreeDescription, branches: [BranchDescription], entries: Range<Int64>) throws(InputError) {
        // A tree may be shorter than its branches: its writer did not count.
        guard entries.lowerBound >= 0, entries.upperBound <= branches.reduce(tree.entries, { max($0, $1.entries) })
        else {
            throw InputError(
                .input, "entries outside the tree", object: tree.path, expected: "0 to \(tree.entries)",
                found: "\(entries.lowerBound) to \(entries.upperBound)")
        }
        var ranges: [ByteRange] = []
        var parts: [Part] = []
        // The leaves of one branch share its baskets, and jagged columns of one collection its offsets.
        var runs: [ObjectIdentifier: BasketRun] = [:]
        var pages = NTuplePlan.Known()
        func run(_ store: BasketStore, _ entries: Range<Int64>) -> BasketRun {
            let indices = store.indices(entries)
            if let known = runs[ObjectIdentifier(store)], known.indices == indices { return known }
            let run = BasketRun(indices: indices, firstRange: ranges.count)
            runs[ObjectIdentifier(store)] = run
            ranges.reserveCapacity(ranges.count + indices.count)
            for basket in store.baskets[indices] {
                if case .stored(let offset, let length) = basket.location {
                    ranges.append(ByteRange(offset: offset, length: length))
                }
            }
            return run
        }
        for branch in branches {
            switch branch.storage {
            case .baskets(let store, _):
                let own = run(store, entries)
                let counter = store.counter.flatMap { counter in
                    store.covered(own.indices).map { run(counter.store, $0) }
                }
                parts.append(.baskets(own, counter: counter))
            case .pages(let column): parts.append(.pages(NTuplePlan(column, entries, &ranges, &pages)))
            }
        }
        self.entries = entries
        self.ranges = ranges
        self.branches = branches
        self.parts = parts
    }
}

extension BasketStore {
    /// The entries that the baskets `indices` hold.
    func covered(_ indices: Range<Int>) -> Range<Int64>? {
        guard let first = baskets[indices].first, let last = baskets[indices].last else { return nil }
        return first.firstEntry..<last.firstEntry + last.entries
    }
}
