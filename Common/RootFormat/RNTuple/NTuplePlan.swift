import Bytes
import Storage

/// Which pages hold a column for a range of entries: whole columns of a cluster below the first collection, since only
/// the index gives the ranges of its items.
struct NTuplePlan: Sendable {
    /// The pages of one physical column in one cluster.
    struct Run: Sendable {
        let physical: Int
        let pages: Range<Int>
        /// The first element of the first of them, counted from the cluster's start.
        let firstElement: Int
        let firstRange: Int
        /// Elements of the column in this cluster, unwritten ones included, where that is known.
        let padding: Int
    }

    struct Part: Sendable {
        let cluster: Int
        /// Entries, counted from the cluster's start.
        let entries: Range<Int>
        /// One for each collection or alternative among the steps, and one for the leaf.
        let runs: [Run]
    }

    let parts: [Part]

    /// Runs that other columns of the same plan have.
    struct Known {
        struct Key: Hashable {
            let cluster: Int
            let physical: Int
            let pages: Range<Int>
        }

        var runs: [Key: Int] = [:]
    }

    init(_ column: NTupleColumn, _ entries: Range<Int64>, _ ranges: inout [ByteRange], _ known: inout Known) {
        var parts: [Part] = []
        for index in column.pages.indices(entries) {
            let cluster = column.pages.clusters[index]
            let wanted = entries.clamped(to: cluster.firstEntry..<cluster.firstEntry + cluster.entries)
            let local = Int(wanted.lowerBound - cluster.firstEntry)..<Int(wanted.upperBound - cluster.firstEntry)
            var runs: [Run] = []
            // The elements needed; nil once a collection has been passed.
            var elements: Range<Int>? = local
            var total: Int? = Int(cluster.entries)
            func add(_ columns: [Int], _ needed: Range<Int>?) {
                guard let run = Self.run(column.pages, index, columns, needed, total, &ranges, &known)
                else { return }
                runs.append(run)
            }
            for step in column.steps {
                switch step {
                case .fixed(let count):
                    elements = elements.map { $0.lowerBound * count..<$0.upperBound * count }
                    total = total.map { $0 * count }
                case .collection(let columns):
                    add(columns, elements.map { max(0, $0.lowerBound - 1)..<$0.upperBound })
                    (elements, total) = (nil, nil)
                case .alternative(let columns, _):
                    // Where an alternative's items begin follows from all tags before.
                    add(columns, elements.map { 0..<$0.upperBound })
                    (elements, total) = (nil, nil)
                }
            }
            if case .cardinality = column.leaf {
                add(column.leafColumns, elements.map { max(0, $0.lowerBound - 1)..<$0.upperBound })
            } else {
                add(column.leafColumns, elements)
            }
            parts.append(Part(cluster: index, entries: local, runs: runs))
        }
        self.parts = parts
    }

    private static func run(
        _ pages: NTuplePages, _ cluster: Int, _ candidates: [Int], _ elements: Range<Int>?, _ total: Int?,
        _ ranges: inout [ByteRange],
        _ known: inout Known
    ) -> Run? {
        let columns = pages.clusters[cluster]
        guard
            let physical = candidates.first(where: {
                !columns.column($0).isSuppressed && !columns.column($0).pages.isEmpty
            })
                ?? candidates.first(where: { !columns.column($0).isSuppressed }) ?? candidates.first
        else { return nil }
        let all = columns.column(physical).pages
        // A column that was added late has no pages for what came before.
        let isLate = pages.columns[physical].firstElement > 0 || all.isEmpty
        let padding = isLate ? total.map { max(0, $0 - columns.column(physical).elements) } ?? 0 : 0
        var chosen = 0..<all.count
        var firstElement = padding
        if let elements {
            var position = padding
            var lower = 0
            while lower < all.count, position + all[lower].count <= elements.lowerBound {
                position += all[lower].count
                lower += 1
            }
            firstElement = position
            var upper = lower
            while upper < all.count, position < elements.upperBound {
                position += all[upper].count
                upper += 1
            }
            chosen = lower..<upper
        }
        let key = Known.Key(cluster: cluster, physical: physical, pages: chosen)
        let firstRange = known.runs[key] ?? ranges.count
        if known.runs[key] == nil {
            known.runs[key] = firstRange
            for page in all[chosen] {
                ranges.append(
                    ByteRange(offset: page.range.offset, length: page.range.length + (page.hasChecksum ? 8 : 0)))
            }
        }
        return Run(
            physical: physical, pages: chosen, firstElement: firstElement, firstRange: firstRange, padding: padding)
    }
}
