import Bytes
import Cluster
import Columns

/// Fills raw feature rows: Float32, NaN where a value is missing or not finite. The NaNs are the mask.
package struct RowBuilder: Sendable {
    private let schema: FeatureSchema

    package init(_ schema: FeatureSchema) { self.schema = schema }

    /// Appends one row for each entry.
    ///
    /// - Parameters:
    ///   - batch: its columns hold the schema's branches, in the schema's order, first.
    ///   - entries: local entries of the batch.
    /// - Returns: how many values were cut off because a multiplicity was beyond the padding.
    package func append(_ batch: ColumnBatch, _ entries: [Int], to rows: inout [Float]) -> Int64 {
        let width = schema.width
        let start = rows.count
        rows.append(contentsOf: repeatElement(Float.nan, count: entries.count * width))
        var truncated: Int64 = 0
        rows.withUnsafeMutableBufferPointer { buffer in
            let target = buffer.baseAddress! + start
            var feature = 0
            for (input, column) in zip(schema.inputs, batch.columns) {
                truncated += fill(column, input.width, entries, target + feature, stride: width)
                feature += input.width
            }
        }
        return truncated
    }

    private func fill(
        _ column: Column, _ width: Int, _ entries: [Int], _ target: UnsafeMutablePointer<Float>, stride: Int
    ) -> Int64 {
        switch column.type {
        case .bool: copy(column, width, entries, target, stride) { (x: UInt8) in x == 0 ? 0 : 1 }
        case .uint8: copy(column, width, entries, target, stride) { (x: UInt8) in Float(x) }
        case .int8: copy(column, width, entries, target, stride) { (x: Int8) in Float(x) }
        case .int16: copy(column, width, entries, target, stride) { (x: Int16) in Float(x) }
        case .uint16: copy(column, width, entries, target, stride) { (x: UInt16) in Float(x) }
        case .int32: copy(column, width, entries, target, stride) { (x: Int32) in Float(x) }
        case .uint32: copy(column, width, entries, target, stride) { (x: UInt32) in Float(x) }
        case .int64: copy(column, width, entries, target, stride) { (x: Int64) in Float(x) }
        case .uint64: copy(column, width, entries, target, stride) { (x: UInt64) in Float(x) }
        case .float32: copy(column, width, entries, target, stride) { (x: Float) in x - x == 0 ? x : .nan }
        case .float64:
            copy(column, width, entries, target, stride) { (x: Double) in Float(x) - Float(x) == 0 ? Float(x) : .nan }
        }
    }

    @inline(__always)
    private func copy<T: BitwiseCopyable>(
        _ column: Column, _ width: Int, _ entries: [Int], _ target: UnsafeMutablePointer<Float>, _ stride: Int,
        _ convert: (T) -> Float
    ) -> Int64 {
        let values = column.values.values(of: T.self, count: column.count)
        var truncated: Int64 = 0
        for (row, entry) in entries.enumerated() {
            let range = column.valueRange(entry..<entry + 1)
            let row = target + row * stride
            for index in 0..<min(width, range.count) { row[index] = convert(values[range.lowerBound + index]) }
            truncated += Int64(max(0, range.count - width))
        }
        return truncated
    }

    /// The labels of entries from a branch of whole numbers.
    package static func labels(_ column: Column, _ entries: [Int]) throws(InputError) -> [Int32] {
        guard column.shape == .flat else {
            throw InputError(.input, "the label branch has more than one value an entry")
        }
        var labels: [Int32] = []
        for entry in entries {
            let value: Double =
                switch column.type {
                case .bool: column.values.values(of: UInt8.self, count: column.count)[entry] == 0 ? 0 : 1
                case .uint8: Double(column.values.values(of: UInt8.self, count: column.count)[entry])
                case .int8: Double(column.values.values(of: Int8.self, count: column.count)[entry])
                case .int16: Double(column.values.values(of: Int16.self, count: column.count)[entry])
                case .uint16: Double(column.values.values(of: UInt16.self, count: column.count)[entry])
                case .int32: Double(column.values.values(of: Int32.self, count: column.count)[entry])
                case .uint32: Double(column.values.values(of: UInt32.self, count: column.count)[entry])
                case .int64: Double(column.values.values(of: Int64.self, count: column.count)[entry])
                case .uint64: Double(column.values.values(of: UInt64.self, count: column.count)[entry])
                case .float32: Double(column.values.values(of: Float.self, count: column.count)[entry])
                case .float64: column.values.values(of: Double.self, count: column.count)[entry]
                }
            guard let label = Int32(exactly: value), (0..<1000).contains(label) else {
                throw InputError(
                    .input, "a label is no class", expected: "a whole number from 0 to 999", found: "\(value)")
            }
            labels.append(label)
        }
        return labels
    }
}
