package import Bytes
package import Columns
package import Storage

/// Turns the bytes of a plan into columns. One per thread: its buffers are used again and again.
package final class ColumnDecoder {
    private let pool: BufferPool
    private let baskets: BasketReader
    private let pages: PageReader

    package init(pool: BufferPool = BufferPool()) {
        self.pool = pool
        baskets = BasketReader(pool: pool)
        pages = PageReader(pool: pool)
    }

    /// - Parameter fetched: the bytes of `plan.ranges`.
    package func decode(_ plan: EntryPlan, _ fetched: FetchedRanges) throws(InputError) -> ColumnBatch {
        var columns: [Column] = []
        try forEachColumn(plan, fetched) { (_, column) throws(InputError) in columns.append(column) }
        return ColumnBatch(
            first: plan.entries.lowerBound, entries: plan.entries.count, names: plan.branches.map(\.name),
            columns: columns)
    }

    /// Gives one column after the other, so that each can be used while it lies in the cache.
    /// - Parameter body: gets the index of the branch in the plan, and its column.
    package func forEachColumn(
        _ plan: EntryPlan, _ fetched: FetchedRanges, _ body: (Int, Column) throws(InputError) -> Void
    ) throws(InputError) {
        var next = 0
        while next < plan.branches.count {
            let branch = plan.branches[next]
            do throws(InputError) {
                guard branch.column != nil else {
                    throw InputError(.unsupported, branch.unsupportedReason ?? "not numeric")
                }
                let group = Self.recipeGroup(plan, next)
                if let (recipe, leaves) = group {
                    let columns = try recipeColumns(branch, recipe, leaves, plan, next, fetched)
                    for (index, column) in columns.enumerated() { try body(next + index, column) }
                    next += columns.count
                } else {
                    try body(next, try column(branch, plan, next, fetched))
                    next += 1
                }
            } catch { throw error.located(object: "the branch \(branch.name)") }
        }
    }

    /// Neighbouring columns that one run of a recipe gives.
    private static func recipeGroup(_ plan: EntryPlan, _ start: Int) -> (BranchRecipe, [Int])? {
        guard case .baskets(_, .recipe(let recipe, let leaf)) = plan.branches[start].storage else { return nil }
        var leaves = [leaf]
        for branch in plan.branches[(start + 1)...] {
            guard case .baskets(_, .recipe(let other, let next)) = branch.storage, other === recipe,
                branch.column != nil, !leaves.contains(next)
            else { break }
            leaves.append(next)
        }
        return (recipe, leaves)
    }

    private func column(
        _ branch: BranchDescription, _ plan: EntryPlan, _ index: Int, _ fetched: FetchedRanges
    ) throws(InputError) -> Column {
        let (type, shape) = branch.column!
        switch (branch.storage, plan.parts[index]) {
        case (.baskets(let store, let layout), .baskets(let run, let counterRun)):
            try Self.checkCoverage(store, run, plan.entries)
            var builder = ColumnBuilder(
                type: type, shape: shape, entries: plan.entries.count, layout: layout, pool: pool)
            let counts = try counts(store, run, counterRun, fetched)
            try forEachBasket(store, run, plan.entries, fetched) { (data, basket, local) throws(InputError) in
                try builder.append(data, local, counts: counts.map { $0.of(basket) })
            }
            return builder.finish()
        case (.pages(let column), .pages(let pagePlan)):
            return try pages.column(column, pagePlan, type, shape, plan.entries, fetched)
        case (.baskets, .pages), (.pages, .baskets): throw InputError(.corrupt, "a plan of another branch")
        }
    }

    /// Items of each entry of the baskets that have no offsets.
    private struct Counts {
        let first: Int64
        let values: AlignedBuffer
        let count: Int

        func of(_ basket: BasketStore.Basket) -> UnsafeBufferPointer<Int64> {
            let all = UnsafeBufferPointer(values.values(of: Int64.self, count: count))
            return .init(
                rebasing: all[Int(basket.firstEntry - first)..<Int(basket.firstEntry - first + basket.entries)])
        }
    }

    /// Widens the values of a counter.
    private struct CountsVisitor: ColumnVisitor {
        let target: UnsafeMutableBufferPointer<Int64>

        func visit<Value: NativeValue>(_ values: UnsafeBufferPointer<Value>) {
            for index in target.indices { target[index] = values[index].int64 }
        }
    }

    private func counts(
        _ store: BasketStore, _ run: EntryPlan.BasketRun, _ counterRun: EntryPlan.BasketRun?, _ fetched: FetchedRanges
    ) throws(InputError) -> Counts? {
        guard let counter = store.counter, let counterRun, let covered = store.covered(run.indices),
            covered.count < 1 << 31
        else { return nil }
        var builder = ColumnBuilder(
            type: counter.type, shape: .flat, entries: covered.count, layout: counter.layout, pool: pool)
        try forEachBasket(counter.store, counterRun, covered, fetched) { (data, _, local) throws(InputError) in
            try builder.append(data, local)
        }
        let column = builder.finish()
        let values = AlignedBuffer(capacity: covered.count * 8)
        let target = values.values(of: Int64.self, count: covered.count)
        column.withValues(CountsVisitor(target: target))
        return Counts(first: covered.lowerBound, values: values, count: covered.count)
    }

    private func recipeColumns(
        _ branch: BranchDescription, _ recipe: BranchRecipe, _ leaves: [Int], _ plan: EntryPlan, _ index: Int,
        _ fetched: FetchedRanges
    ) throws(InputError) -> [Column] {
        guard case .baskets(let store, _) = branch.storage, case .baskets(let run, _) = plan.parts[index] else {
            throw InputError(.corrupt, "a plan of another branch")
        }
        let runner = RecipeRunner(recipe, wanted: leaves, pool: pool)
        try forEachBasket(store, run, plan.entries, fetched) { (data, _, local) throws(InputError) in
            if let offsets = data.offsets {
                for entry in local {
                    _ = try runner.entry(
                        data.bytes, from: offsets[entry], to: min(offsets[entry + 1], data.border), exact: true)
                }
            } else {
                // An entry takes at least a byte: a basket cannot announce more of them than it has bytes.
                guard data.entries <= data.border else {
                    throw InputError(
                        .corrupt, "a basket is too short for its entries", expected: "at least \(data.entries) bytes",
                        found: "\(data.border)",
                        hint: "The file is damaged: fetch it again or use another replica.")
                }
                // Without offsets each entry begins where the one before it ended; only a basket's head may need to be
                // passed over.
                let skipped = local.lowerBound
                let passer = skipped > 0 ? RecipeRunner(recipe, wanted: [], pool: pool) : nil
                var start = 0
                for entry in 0..<local.upperBound {
                    start = try (entry < skipped ? passer! : runner).entry(
                        data.bytes, from: start, to: data.border, exact: false)
                }
            }
        }
        var columns: [Column] = []
        for leaf in leaves { columns.append(try runner.column(leaf)) }
        return columns
    }

    /// Opens the baskets that hold any of `range`, in order; together they must hold all of it.
    private func forEachBasket(
        _ store: BasketStore, _ run: EntryPlan.BasketRun, _ range: Range<Int64>, _ fetched: FetchedRanges,
        _ body: (BasketData, BasketStore.Basket, Range<Int>) throws(InputError) -> Void
    ) throws(InputError) {
        var next = run.firstRange
        var covered = range.lowerBound
        for basket in store.baskets[run.indices] {
            let wanted = range.clamped(to: basket.firstEntry..<basket.firstEntry + basket.entries)
            guard wanted.lowerBound == covered else { break }
            covered = wanted.upperBound
            let local = Int(wanted.lowerBound - basket.firstEntry)..<Int(wanted.upperBound - basket.firstEntry)
            var stored: UnsafeRawBufferPointer?
            if case .stored = basket.location {
                stored = fetched.slices[next]
                next += 1
            }
            try baskets.open(basket, stored: stored) { (data) throws(InputError) in
                guard local.upperBound <= data.entries else {
                    throw InputError(
                        .corrupt, "a basket holds another number of entries than its tree declares",
                        expected: "\(basket.entries)", found: "\(data.entries)")
                }
                try body(data, basket, local)
            }
        }
        guard covered == range.upperBound else { throw Self.uncovered(range.upperBound, covered) }
    }

    /// What baskets do not hold is not allocated for.
    private static func checkCoverage(
        _ store: BasketStore, _ run: EntryPlan.BasketRun, _ range: Range<Int64>
    ) throws(InputError) {
        let covered = store.covered(run.indices) ?? 0..<0
        guard range.isEmpty || covered.lowerBound <= range.lowerBound && covered.upperBound >= range.upperBound else {
            throw uncovered(range.upperBound, covered.upperBound)
        }
    }

    private static func uncovered(_ wanted: Int64, _ found: Int64) -> InputError {
        InputError(
            .missing, "the branch has no data for some entries", expected: "entries up to \(wanted)",
            found: "up to \(found)", hint: "Leave the branch out (drop), or skip the file (on_error: skip).")
    }
}
