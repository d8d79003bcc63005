import Bytes
import CKernels
import Columns

/// Adds columns of a chunk to the partial specs of its blocks. One per chunk: it keeps which part each value belongs to, since the
/// jagged branches of one collection follow each other.
package final class SpecsScanner {
    /// For each entry of the chunk, its part (0, 1, 2).
    private let parts: [UInt8]
    /// The blocks' entries within the chunk.
    private let ranges: [Range<Int>]
    private var valueParts: [UInt8] = []
    /// The offsets that `valueParts` was made from, and values in an item.
    private var offsets: [Int64] = []
    private var itemValues = 0
    package private(set) var blocks: [[PartialSpecs]]

    package init(parts: [UInt8], ranges: [Range<Int>], branches: Int) {
        self.parts = parts
        self.ranges = ranges
        blocks = ranges.map { range in PartialSpecs.empty(parts: parts[range], branches: branches) }
    }

    /// - Parameter index: the branch's place among the chunk's.
    package func add(_ column: Column, _ index: Int) {
        spread(column)
        for (block, range) in ranges.enumerated() {
            let span = column.valueRange(range)
            let widths = widths(column, range)
            for part in 0..<3 {
                var statistics = moments(column, span, UInt8(part))
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
    private func widths(_ column: Column, _ range: Range<Int>) -> InlineArray<3, Int> {
        var widths = InlineArray<3, Int>(repeating: 0)
        let width = column.shape.itemValues
        if let fixed = column.shape.fixedValues {
            for part in parts[range] where widths[Int(part)] == 0 { widths[Int(part)] = width > 0 ? fixed / width : 0 }
        } else if column.shape.varyingLevels == 1, let offsets = column.entryOffsets {
            for entry in range {
                widths[Int(parts[entry])] = max(widths[Int(parts[entry])], Int(offsets[entry + 1] - offsets[entry]))
            }
        } else if width > 0 {
            for entry in range {
                widths[Int(parts[entry])] = max(
                    widths[Int(parts[entry])], column.valueRange(entry..<entry + 1).count / width)
            }
        }
        return widths
    }

    private func moments(_ column: Column, _ span: Range<Int>, _ part: UInt8) -> BranchStatistics {
        let isFlat = column.shape.levels.isEmpty
        return (isFlat ? parts : valueParts).withUnsafeBufferPointer { parts in
            guard let base = parts.baseAddress, !span.isEmpty else { return BranchStatistics() }
            func kernels<T: BitwiseCopyable>(
                _ type: T.Type,
                _ first: (UnsafePointer<T>?, UnsafePointer<UInt8>?, Int, UInt8, UnsafeMutablePointer<ck_moments>?) ->
                    Void,
                _ second: (UnsafePointer<T>?, UnsafePointer<UInt8>?, Int, UInt8, Double) -> Double
            ) -> BranchStatistics {
                let values = UnsafePointer(column.values.pointer.assumingMemoryBound(to: T.self)) + span.lowerBound
                let parts = base + span.lowerBound
                var moments = ck_moments()
                first(values, parts, span.count, part, &moments)
                var result = BranchStatistics()
                result.nonfinite = moments.bad
                guard moments.good > 0 else { return result }
                (result.values, result.min, result.max) = (moments.good, moments.least, moments.most)
                result.mean = moments.sum / Double(moments.good)
                result.squares = second(values, parts, span.count, part, result.mean)
                return result
            }
            return switch column.type {
            case .bool: kernels(UInt8.self, ck_first_moments_bool, ck_second_moment_bool)
            case .int8: kernels(Int8.self, ck_first_moments_i8, ck_second_moment_i8)
            case .uint8: kernels(UInt8.self, ck_first_moments_u8, ck_second_moment_u8)
            case .int16: kernels(Int16.self, ck_first_moments_i16, ck_second_moment_i16)
            case .uint16: kernels(UInt16.self, ck_first_moments_u16, ck_second_moment_u16)
            case .int32: kernels(Int32.self, ck_first_moments_i32, ck_second_moment_i32)
            case .uint32: kernels(UInt32.self, ck_first_moments_u32, ck_second_moment_u32)
            case .int64: kernels(Int64.self, ck_first_moments_i64, ck_second_moment_i64)
            case .uint64: kernels(UInt64.self, ck_first_moments_u64, ck_second_moment_u64)
            case .float32: kernels(Float.self, ck_first_moments_f32, ck_second_moment_f32)
            case .float64: kernels(Double.self, ck_first_moments_f64, ck_second_moment_f64)
            }
        }
    }
}
