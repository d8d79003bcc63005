import Bytes
import CCodecs
import CKernels
package import Columns

/// A number of any column type, exactly.
package enum ExactNumber: Sendable, Equatable {
    case signed(Int64)
    case unsigned(UInt64)
    case real(Double)

    package var asDouble: Double {
        switch self {
        case .signed(let value): Double(value)
        case .unsigned(let value): Double(value)
        case .real(let value): value
        }
    }
}

extension ExactNumber {
    /// The smaller of two numbers; exact where both are of one kind.
    func smaller(_ other: ExactNumber) -> ExactNumber { isSmaller(than: other) ? self : other }

    /// The larger of two numbers; exact where both are of one kind.
    func larger(_ other: ExactNumber) -> ExactNumber { isSmaller(than: other) ? other : self }

    private func isSmaller(than other: ExactNumber) -> Bool {
        switch (self, other) {
        case (.signed(let one), .signed(let two)): one < two
        case (.unsigned(let one), .unsigned(let two)): one < two
        case (.signed, _), (.unsigned, _), (.real, _): asDouble < other.asDouble
        }
    }

    /// The value of a column's number.
    init<Value: NativeValue>(_ value: Value) {
        switch Value.type {
        case .bool: self = .unsigned(value.float64 != 0 ? 1 : 0)
        case .uint8, .uint16, .uint32, .uint64: self = .unsigned(UInt64(bitPattern: value.int64))
        case .int8, .int16, .int32, .int64: self = .signed(value.int64)
        case .float32, .float64: self = .real(value.float64)
        }
    }
}

/// Accumulates the columns of one branch, piece after piece.
package protocol ColumnConsumer: Sendable {
    init(type: DataType, shape: Shape)
    /// Takes the branch's next piece, in the order of the entries; its type and shape are those of the initializer.
    mutating func add(_ column: Column)
}

/// What two copies of a branch must have in common: extremes, sum, checksums.
package struct ColumnSummary: ColumnConsumer {
    package private(set) var extremes: ColumnExtremes
    package private(set) var notANumber: Int64 = 0
    package private(set) var infinite: Int64 = 0
    /// The largest number of values in one entry.
    package private(set) var valuesInEntry: Int64 = 0
    /// CRC-32 (zlib's) of the values, little-endian.
    package private(set) var valueChecksum: UInt32 = 0
    /// CRC-32 of each varying level's Int64 offsets over the whole tree.
    package private(set) var offsetChecksums: [UInt32]
    /// Lists of the innermost varying level: the strings of a text branch.
    package private(set) var lists: Int64 = 0
    private var offsetBases: [Int64]
    private var wholeSum: Int128 = 0
    /// The sum of finite reals as an unevaluated sum of two doubles (Knuth's two-sum).
    private var realSum = 0.0
    private var realRest = 0.0

    package init(type: DataType, shape: Shape) {
        extremes = ColumnExtremes(type: type, shape: shape)
        offsetChecksums = .init(repeating: 0, count: shape.varyingLevels)
        offsetBases = .init(repeating: 0, count: shape.varyingLevels)
        let zero: Int64 = 0
        for index in offsetChecksums.indices {
            offsetChecksums[index] = withUnsafeBytes(of: zero) { libdeflate_crc32(0, $0.baseAddress, 8) }
        }
    }

    /// The sum of the finite values.
    package var sum: Double { extremes.type.isFloatingPoint ? realSum + realRest : Double(wholeSum) }

    /// Takes in the branch's next piece; the checksums depend on the order of the pieces.
    package mutating func add(_ column: Column) {
        extremes.add(column)
        valueChecksum = libdeflate_crc32(valueChecksum, column.values.pointer, column.count * column.type.size)
        for (index, offsets) in column.offsets.enumerated() { addOffsets(offsets.values, index) }
        lists += Int64(max(0, (column.offsets.last?.count ?? 1) - 1))
        addEntryWidths(column)
        let own = column.withValues(SumVisitor(realSum: realSum, realRest: realRest))
        wholeSum += own.whole
        (realSum, realRest) = (own.real, own.realRest)
        notANumber += own.notANumber
        infinite += own.infinite
    }

    /// Offsets of a piece, moved to where they are in the whole tree.
    private mutating func addOffsets(_ offsets: UnsafeMutableBufferPointer<Int64>, _ level: Int) {
        guard offsets.count > 1 else { return }
        let base = offsetBases[level]
        withUnsafeTemporaryAllocation(of: Int64.self, capacity: 1024) { moved in
            var next = 1
            while next < offsets.count {
                let count = min(1024, offsets.count - next)
                for index in 0..<count { moved[index] = offsets[next + index] + base }
                offsetChecksums[level] = libdeflate_crc32(offsetChecksums[level], moved.baseAddress, 8 * count)
                next += count
            }
        }
        offsetBases[level] = base + offsets[offsets.count - 1]
    }

    private mutating func addEntryWidths(_ column: Column) {
        guard column.entries > 0 else { return }
        if let fixed = column.shape.fixedValues {
            valuesInEntry = Int64(fixed)
            return
        }
        if column.shape.levels.first == .varying, column.shape.varyingLevels == 1 {
            let offsets = column.offsets[0].values
            valuesInEntry = max(
                valuesInEntry, ck_widest_step(offsets.baseAddress, offsets.count) * Int64(column.shape.itemValues))
            return
        }
        for entry in 0..<column.entries {
            valuesInEntry = max(valuesInEntry, Int64(column.valueRange(entry..<entry + 1).count))
        }
    }
}

/// The sums of a column's values.
private struct ColumnSums {
    var whole: Int128 = 0
    var real: Double
    var realRest: Double
    var notANumber: Int64 = 0
    var infinite: Int64 = 0
}

/// Adds a column's finite reals to a sum of two doubles, or its whole numbers exactly.
private struct SumVisitor: ColumnVisitor {
    let realSum: Double
    let realRest: Double

    func visit<Value: NativeValue>(_ values: UnsafeBufferPointer<Value>) -> ColumnSums {
        var sums = ColumnSums(real: realSum, realRest: realRest)
        if Value.type.isFloatingPoint {
            addReals(values, to: &sums)
        } else if Value.type == .uint64 {
            for value in values { sums.whole += Int128(UInt64(bitPattern: value.int64)) }
        } else if Value.type == .int64 {
            for value in values { sums.whole += Int128(value.int64) }
        } else {
            addSmall(values, to: &sums)
        }
        return sums
    }

    private func addReals<Value: NativeValue>(_ values: UnsafeBufferPointer<Value>, to sums: inout ColumnSums) {
        var (sum, rest) = (sums.real, sums.realRest)
        for value in values {
            let x = value.float64
            guard x - x == 0 else {
                if x.isNaN { sums.notANumber += 1 } else { sums.infinite += 1 }
                continue
            }
            let next = sum + x
            let back = next - sum
            rest += (sum - (next - back)) + (x - back)
            sum = next
        }
        (sums.real, sums.realRest) = (sum, rest)
    }

    private func addSmall<Value: NativeValue>(_ values: UnsafeBufferPointer<Value>, to sums: inout ColumnSums) {
        var start = 0
        while start < values.count {
            // 2^31 values of 32 bits fit in 64.
            let stop = min(values.count, start + 1 << 30)
            var sum: Int64 = 0
            for index in start..<stop {
                let value = values[index]
                sum &+= Value.type == .bool ? Int64(value.float64) : value.int64
            }
            sums.whole += Int128(sum)
            start = stop
        }
    }
}
