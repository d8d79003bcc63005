import Bytes
import CCodecs
import CKernels
import Columns

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

/// Takes in the columns of one branch, piece after piece.
package protocol ColumnConsumer: Sendable {
    init(type: DataType, shape: Shape)
    mutating func add(_ column: Column)
}

/// The extremes of a branch: what MLaaS4HEP's first step computes.
package struct ColumnExtremes: ColumnConsumer {
    package let type: DataType
    package let shape: Shape
    package private(set) var entries: Int64 = 0
    package private(set) var values: Int64 = 0
    package private(set) var finite: Int64 = 0
    /// Of the finite values; nil where there are none.
    package private(set) var least: ExactNumber?
    package private(set) var most: ExactNumber?
    /// The largest number of items of each level in one item of the level above; 1 for a flat branch.
    package private(set) var multiplicities: [Int64]

    package init(type: DataType, shape: Shape) {
        self.type = type
        self.shape = shape
        multiplicities = .init(repeating: 0, count: max(1, shape.levels.count))
    }

    package mutating func add(_ column: Column) {
        entries += Int64(column.entries)
        values += Int64(column.count)
        if column.entries > 0 { addMultiplicities(column) }
        let pointer = column.values.pointer
        let count = column.count
        guard count > 0 else { return }
        switch type {
        case .float32: reals(column, Float.self, ck_extremes_f32)
        case .float64: reals(column, Double.self, ck_extremes_f64)
        case .bool:
            whole(pointer, count, UInt8.self, ck_extremes_u8)
            // Any byte but 0 is true.
            if case .unsigned(let low)? = least, case .unsigned(let high)? = most {
                (least, most) = (.unsigned(min(low, 1)), .unsigned(min(high, 1)))
            }
        case .uint8: whole(pointer, count, UInt8.self, ck_extremes_u8)
        case .int8: whole(pointer, count, Int8.self, ck_extremes_i8)
        case .int16: whole(pointer, count, Int16.self, ck_extremes_i16)
        case .uint16: whole(pointer, count, UInt16.self, ck_extremes_u16)
        case .int32: whole(pointer, count, Int32.self, ck_extremes_i32)
        case .uint32: whole(pointer, count, UInt32.self, ck_extremes_u32)
        case .int64: whole(pointer, count, Int64.self, ck_extremes_i64)
        case .uint64: whole(pointer, count, UInt64.self, ck_extremes_u64)
        }
    }

    private mutating func addMultiplicities(_ column: Column) {
        guard !shape.levels.isEmpty else {
            multiplicities[0] = 1
            return
        }
        var next = 0
        for (index, level) in shape.levels.enumerated() {
            switch level {
            case .fixed(let count): multiplicities[index] = Int64(count)
            case .varying:
                let offsets = column.offsets[next].values
                multiplicities[index] = max(multiplicities[index], ck_widest_step(offsets.baseAddress, offsets.count))
                next += 1
            }
        }
    }

    private mutating func merge(_ low: ExactNumber, _ high: ExactNumber) {
        guard let least, let most else {
            (least, most) = (low, high)
            return
        }
        switch (least, low, most, high) {
        case (.signed(let a), .signed(let b), .signed(let c), .signed(let d)):
            (self.least, self.most) = (.signed(min(a, b)), .signed(max(c, d)))
        case (.unsigned(let a), .unsigned(let b), .unsigned(let c), .unsigned(let d)):
            (self.least, self.most) = (.unsigned(min(a, b)), .unsigned(max(c, d)))
        default:
            (self.least, self.most) = (
                .real(min(least.asDouble, low.asDouble)), .real(max(most.asDouble, high.asDouble))
            )
        }
    }

    private mutating func reals<T: BinaryFloatingPoint & BitwiseCopyable>(
        _ column: Column, _: T.Type,
        _ kernel: (UnsafePointer<T>?, Int, UnsafeMutablePointer<T>?, UnsafeMutablePointer<T>?) -> Int
    ) {
        var (low, high): (T, T) = (0, 0)
        let count = kernel(column.values.pointer.assumingMemoryBound(to: T.self), column.count, &low, &high)
        finite += Int64(count)
        if count > 0 { merge(.real(Double(low)), .real(Double(high))) }
    }

    private mutating func whole<T: FixedWidthInteger & BitwiseCopyable>(
        _ pointer: UnsafeMutableRawPointer, _ count: Int, _: T.Type,
        _ kernel: (UnsafePointer<T>?, Int, UnsafeMutablePointer<T>?, UnsafeMutablePointer<T>?) -> Void
    ) {
        var (low, high): (T, T) = (0, 0)
        kernel(pointer.assumingMemoryBound(to: T.self), count, &low, &high)
        finite += Int64(count)
        merge(
            T.isSigned ? .signed(Int64(low)) : .unsigned(UInt64(low)),
            T.isSigned ? .signed(Int64(high)) : .unsigned(UInt64(high)))
    }
}

/// Everything that tells whether two copies of a branch are the same: extremes, sum, checksums.
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

    package mutating func add(_ column: Column) {
        extremes.add(column)
        valueChecksum = libdeflate_crc32(valueChecksum, column.values.pointer, column.count * column.type.size)
        for (index, offsets) in column.offsets.enumerated() { addOffsets(offsets.values, index) }
        lists += Int64(max(0, (column.offsets.last?.count ?? 1) - 1))
        addEntryWidths(column)
        switch column.type {
        case .float32: sumReals(column, Float.self)
        case .float64: sumReals(column, Double.self)
        case .bool:
            for value in column.values.values(of: UInt8.self, count: column.count) where value != 0 { wholeSum += 1 }
        case .uint8: sumWhole(column, UInt8.self)
        case .int8: sumWhole(column, Int8.self)
        case .int16: sumWhole(column, Int16.self)
        case .uint16: sumWhole(column, UInt16.self)
        case .int32: sumWhole(column, Int32.self)
        case .uint32: sumWhole(column, UInt32.self)
        case .int64: sumWhole(column, Int64.self)
        case .uint64: sumWhole(column, UInt64.self)
        }
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

    private mutating func sumReals<T: BinaryFloatingPoint & BitwiseCopyable>(_ column: Column, _: T.Type) {
        let values = column.values.values(of: T.self, count: column.count)
        var (sum, rest) = (realSum, realRest)
        for value in values {
            let x = Double(value)
            guard x - x == 0 else {
                if x.isNaN { notANumber += 1 } else { infinite += 1 }
                continue
            }
            let next = sum + x
            let back = next - sum
            rest += (sum - (next - back)) + (x - back)
            sum = next
        }
        (realSum, realRest) = (sum, rest)
    }

    private mutating func sumWhole<T: FixedWidthInteger & BitwiseCopyable>(_ column: Column, _: T.Type) {
        let values = column.values.values(of: T.self, count: column.count)
        if T.bitWidth == 64 {
            for value in values { wholeSum += Int128(value) }
        } else {
            var start = 0
            while start < values.count {
                // 2^31 values of 32 bits fit in 64.
                let stop = min(values.count, start + 1 << 30)
                var sum: Int64 = 0
                for index in start..<stop { sum &+= Int64(values[index]) }
                wholeSum += Int128(sum)
                start = stop
            }
        }
    }
}
