import Bytes
import Columns
import Storage

/// Which bytes of a file hold the wanted branches for a range of entries.
package struct EntryPlan: Sendable {
    package let entries: Range<Int64>
    /// Stored baskets, in the order of the branches and of the entries.
    package let ranges: [ByteRange]
    let branches: [BranchDescription]
    /// For each branch: its baskets that overlap `entries`, and where the first of their stored ones is in `ranges`.
    let baskets: [(indices: Range<Int>, firstRange: Int)]

    package init(tree: TreeDescription, branches: [BranchDescription], entries: Range<Int64>) throws(FormatError) {
        guard entries.lowerBound >= 0, entries.upperBound <= tree.entries else {
            throw FormatError(
                .input, "entries outside the tree", object: tree.path, expected: "0 to \(tree.entries)",
                found: "\(entries.lowerBound) to \(entries.upperBound)")
        }
        var ranges: [ByteRange] = []
        var baskets: [(indices: Range<Int>, firstRange: Int)] = []
        var planned: [String: (indices: Range<Int>, firstRange: Int)] = [:]
        for branch in branches {
            // The leaves of one branch share its baskets.
            if let known = planned[branch.branchPath], branch.leafName != nil {
                baskets.append(known)
                continue
            }
            let indices = branch.basketIndices(entries)
            baskets.append((indices, ranges.count))
            planned[branch.branchPath] = baskets.last!
            for basket in branch.baskets[indices] {
                if case .stored(let offset, let length) = basket.place { ranges.append(ByteRange(offset: offset, length: length)) }
            }
        }
        self.entries = entries
        self.ranges = ranges
        self.branches = branches
        self.baskets = baskets
    }
}

/// Turns the bytes of a plan into columns. One per thread.
package final class ColumnDecoder {
    private let inflater = Inflater()
    private let pool: BufferPool

    package init(pool: BufferPool = BufferPool()) { self.pool = pool }

    /// - Parameter fetched: the bytes of `plan.ranges`.
    package func decode(_ plan: EntryPlan, _ fetched: FetchedRanges) throws(FormatError) -> ColumnBatch {
        var columns: [Column] = []
        for (branch, place) in zip(plan.branches, plan.baskets) {
            do {
                columns.append(try column(branch, plan.entries, place.indices, fetched, place.firstRange))
            } catch { throw error.located(object: "the branch \(branch.name)") }
        }
        return ColumnBatch(
            first: plan.entries.lowerBound, entries: plan.entries.count, names: plan.branches.map(\.name), columns: columns)
    }

    private func column(
        _ branch: BranchDescription, _ range: Range<Int64>, _ indices: Range<Int>, _ fetched: FetchedRanges, _ firstRange: Int
    ) throws(FormatError) -> Column {
        guard let (type, shape) = branch.numbers else {
            throw FormatError(.unsupported, branch.unsupportedReason ?? "not numeric")
        }
        var builder = ColumnBuilder(type: type, shape: shape, entries: range.count, layout: branch.layout)
        var next = firstRange
        var covered = range.lowerBound
        for basket in branch.baskets[indices] {
            let wanted = range.clamped(to: basket.firstEntry..<basket.firstEntry + basket.entries)
            guard wanted.lowerBound == covered else { break }
            covered = wanted.upperBound
            let local = Int(wanted.lowerBound - basket.firstEntry)..<Int(wanted.upperBound - basket.firstEntry)
            switch basket.place {
            case .embedded(let embedded):
                guard local.upperBound <= embedded.entries else { throw Self.tooFew(embedded.entries, basket) }
                let data = BasketData(
                    border: embedded.last - embedded.keyLength, keyLength: embedded.keyLength, offsets: embedded.offsets,
                    entries: embedded.entries)
                try builder.append(embedded.data, data, local)
            case .stored:
                try stored(fetched.slices[next], basket, local, &builder)
                next += 1
            }
        }
        guard covered == range.upperBound else {
            throw FormatError(
                .missing, "the branch has no data for some entries", expected: "entries up to \(range.upperBound)",
                found: "up to \(covered)", hint: "Leave the branch out (drop), or skip the file (on_error: skip).")
        }
        return builder.finish()
    }

    private static func tooFew(_ found: Int, _ basket: BranchDescription.Basket) -> FormatError {
        FormatError(.corrupt, "a basket holds another number of entries than its tree says", expected: "\(basket.entries)", found: "\(found)")
    }

    private func stored(
        _ record: UnsafeRawBufferPointer, _ basket: BranchDescription.Basket, _ local: Range<Int>, _ builder: inout ColumnBuilder
    ) throws(FormatError) {
        let (key, header) = try Self.headers(record)
        guard key.totalLength == record.count, key.headerLength <= record.count else {
            throw FormatError(.corrupt, "a basket's key contradicts its tree", expected: "\(record.count) bytes", found: "\(key.totalLength)")
        }
        guard header.entries == Int(basket.entries) else { throw Self.tooFew(header.entries, basket) }
        let payload = UnsafeRawBufferPointer(rebasing: record[key.headerLength...])
        let border = header.last - key.headerLength
        guard border >= 0, border <= key.objectLength else {
            throw FormatError(.corrupt, "a basket's data end outside it", expected: "0 to \(key.objectLength)", found: "\(border)")
        }
        var data = BasketData(border: border, keyLength: key.headerLength, offsets: [], entries: header.entries)
        data.trailing = header.offsetSize > 8 || border < key.objectLength
        if key.objectLength == payload.count {
            return try builder.append(payload, data, local)
        }
        guard key.objectLength / 1100 <= payload.count, key.objectLength > payload.count else {
            throw FormatError(.badLength, "a basket's inflated length is not believable", found: "\(key.objectLength) from \(payload.count)")
        }
        let buffer = pool.take(key.objectLength)
        defer { pool.give(buffer) }
        let inflated = UnsafeMutableRawBufferPointer(start: buffer.pointer, count: key.objectLength)
        try inflater.inflate(payload, into: inflated)
        try builder.append(UnsafeRawBufferPointer(inflated), data, local)
    }

    private static func headers(_ record: UnsafeRawBufferPointer) throws(FormatError) -> (Key, BasketHeader) {
        var reader = ByteReader(record.bytes)
        let key = try Key(&reader)
        let header = try BasketHeader(&reader)
        return (key, header)
    }
}
