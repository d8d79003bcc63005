import Bytes
import CKernels
package import Cluster
package import Columns

/// Adds columns of a chunk to the partial specs of its blocks. One per chunk: it keeps which part each value belongs
/// to, since the jagged branches of one collection follow each other.
package final class SpecsScanner {
    /// For each entry of the chunk, the code of its part; a code that no part has leaves the entry out.
    private let parts: [UInt8]
    /// The blocks' entries within the chunk.
    private let ranges: [Range<Int>]
    private var valueParts: [UInt8] = []
    /// The offsets that `valueParts` was made from, and values in an item.
    private var offsets: [Int64] = []
    private var itemValues = 0
    package private(set) var blocks: [PartTable<PartialSpecs>]

    package init(parts: [UInt8], ranges: [Range<Int>], branches: Int) {
        self.parts = parts
        self.ranges = ranges
        blocks = ranges.map { range in PartialSpecs.empty(parts: parts[range], branches: branches) }
    }

    /// Adds a branch's column.
    /// - Parameter index: the branch's index among the chunk's.
    package func add(_ column: Column, _ index: Int) {
        spread(column)
        for (block, range) in ranges.enumerated() {
            let span = column.valueRange(range)
            let widths = widths(column, range)
            for part in SplitPart.allCases {
                var statistics = moments(column, span, part.code)
                statistics.multiplicity = Int64(widths[part])
                blocks[block][part].branches[index] = statistics
            }
        }
    }

    /// Writes for each value the part of its entry.
    private func spread(_ column: Column) {
        guard !column.shape.levels.isEmpty else { return }
        let width = column.shape.itemValues
        if column.shape.varyingLevels == 1, let found = column.entryOffsets {
            if width == itemValues, offsets.count == found.count, offsets.elementsEqual(found) { return }
            offsets = Array(found)
            itemValues = width
        } else {
            (offsets, itemValues) = ([], 0)
        }
        if valueParts.count < column.count { valueParts = .init(repeating: 0, count: column.count) }
        valueParts.withUnsafeMutableBufferPointer { target in
            for entry in 0..<column.entries {
                let part = parts[entry]
                for value in column.valueRange(entry..<entry + 1) { target[value] = part }
            }
        }
    }

    /// The largest number of items in one entry of each part.
    private func widths(_ column: Column, _ range: Range<Int>) -> PartTable<Int> {
        // By the part's code; entries of no part are counted with the last.
        var widths = InlineArray<4, Int>(repeating: 0)
        let width = column.shape.itemValues
        if let fixed = column.shape.fixedValues {
            for part in parts[range] where widths[Int(part & 3)] == 0 {
                widths[Int(part & 3)] = width > 0 ? fixed / width : 0
            }
        } else if column.shape.varyingLevels == 1, let offsets = column.entryOffsets {
            for entry in range {
                widths[Int(parts[entry] & 3)] = max(
                    widths[Int(parts[entry] & 3)], Int(offsets[entry + 1] - offsets[entry]))
            }
        } else if width > 0 {
            for entry in range {
                widths[Int(parts[entry] & 3)] = max(
                    widths[Int(parts[entry] & 3)], column.valueRange(entry..<entry + 1).count / width)
            }
        }
        return PartTable.make { widths[$0.rawValue] }
    }

    private func moments(_ column: Column, _ span: Range<Int>, _ part: UInt8) -> BranchStatistics {
        let isFlat = column.shape.levels.isEmpty
        return (isFlat ? parts : valueParts).withUnsafeBufferPointer { parts in
            guard let base = parts.baseAddress, !span.isEmpty else { return BranchStatistics() }
            return column.withValues(MomentsVisitor(span: span, parts: base + span.lowerBound, part: part))
        }
    }

    /// Computes the statistics of the values of one part.
    private struct MomentsVisitor: ColumnVisitor {
        /// The values, and for each of them its part.
        let span: Range<Int>
        let parts: UnsafePointer<UInt8>
        let part: UInt8

        func visit<Value: NativeValue>(_ values: UnsafeBufferPointer<Value>) -> BranchStatistics {
            var result = BranchStatistics()
            guard let first = UnsafeBufferPointer(rebasing: values[span]).baseAddress else { return result }
            let moments = Value.firstMoments(first, parts: parts, count: span.count, part: part)
            result.nonfinite = moments.bad
            guard moments.good > 0 else { return result }
            (result.values, result.min, result.max) = (moments.good, moments.least, moments.most)
            result.mean = moments.sum / Double(moments.good)
            result.squares = Value.secondMoment(
                first, parts: parts, count: span.count, part: part, mean: result.mean)
            return result
        }
    }
}
