import Bytes

/// A plain numeric type as ROOT stores it and as columns hold it (little-endian here, the machine's own).
package enum DataType: UInt8, Sendable, Codable, CaseIterable {
    case bool, int8, uint8, int16, uint16, int32, uint32, int64, uint64, float32, float64

    /// Bytes of one value.
    package var size: Int {
        switch self {
        case .bool, .int8, .uint8: 1
        case .int16, .uint16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        }
    }

    package var isFloatingPoint: Bool { self == .float32 || self == .float64 }

    package var name: String {
        switch self {
        case .bool: "bool"
        case .int8: "int8"
        case .uint8: "uint8"
        case .int16: "int16"
        case .uint16: "uint16"
        case .int32: "int32"
        case .uint32: "uint32"
        case .int64: "int64"
        case .uint64: "uint64"
        case .float32: "float"
        case .float64: "double"
        }
    }

    package init?(name: String) {
        guard let found = DataType.allCases.first(where: { $0.name == name }) else { return nil }
        self = found
    }

    /// The dtype in NumPy's notation, little-endian: what reference files use.
    package var numpyName: String {
        let kind = self == .bool ? "b" : isFloatingPoint ? "f" : name.hasPrefix("u") ? "u" : "i"
        return (size == 1 ? "|" : "<") + kind + String(size)
    }
}

/// How one entry of a branch looks: the number of values, fixed or varying.
package enum Shape: Sendable, Equatable, Codable {
    /// One number an entry.
    case flat
    /// `dimensions` in C order; their product is the number of values an entry.
    case fixed([Int])
    /// A varying number of items, each a fixed array of `inner` (empty: plain numbers).
    case jagged(inner: [Int])

    /// Values in one item: 1 for flat, the product of the dimensions otherwise.
    package var itemValues: Int {
        switch self {
        case .flat: 1
        case .fixed(let dimensions): dimensions.reduce(1, *)
        case .jagged(let inner): inner.reduce(1, *)
        }
    }

    package var isJagged: Bool { if case .jagged = self { true } else { false } }

    package var description: String {
        func brackets(_ dimensions: [Int]) -> String { dimensions.map { "[\($0)]" }.joined() }
        switch self {
        case .flat: return "flat"
        case .fixed(let dimensions): return "fixed" + brackets(dimensions)
        case .jagged(let inner): return "jagged" + brackets(inner)
        }
    }
}

/// The values of one branch for a range of entries, contiguous, in the machine's byte order.
package final class Column: @unchecked Sendable {
    package let type: DataType
    package let shape: Shape
    package let entries: Int
    /// Number of values in `values`.
    package let count: Int
    package let values: AlignedBuffer
    /// Jagged only: `entries + 1` Int64 offsets in items, from 0.
    package let offsets: AlignedBuffer?

    package init(type: DataType, shape: Shape, entries: Int, count: Int, values: AlignedBuffer, offsets: AlignedBuffer?) {
        precondition(count * type.size <= values.capacity)
        precondition(shape.isJagged == (offsets != nil))
        self.type = type
        self.shape = shape
        self.entries = entries
        self.count = count
        self.values = values
        self.offsets = offsets
    }

    package var offsetValues: UnsafeMutableBufferPointer<Int64>? { offsets?.values(of: Int64.self, count: entries + 1) }

    /// The range of values (not items) that belongs to the entries `range`.
    package func valueRange(_ range: Range<Int>) -> Range<Int> {
        let width = shape.itemValues
        guard let offsets = offsetValues else { return range.lowerBound * width..<range.upperBound * width }
        return Int(offsets[range.lowerBound]) * width..<Int(offsets[range.upperBound]) * width
    }
}

/// Columns that cover the same entries `[first, first + entries)` of one tree, in the order they were asked for.
package struct ColumnBatch: Sendable {
    package let first: Int64
    package let entries: Int
    package let names: [String]
    package let columns: [Column]

    package init(first: Int64, entries: Int, names: [String], columns: [Column]) {
        precondition(names.count == columns.count)
        self.first = first
        self.entries = entries
        self.names = names
        self.columns = columns
    }
}
