import Bytes
import Columns

/// Statistics of one branch over some entries. Counts, extremes and multiplicities merge in any order; the moments are merged in
/// one canonical order, so that their bytes depend on nothing else.
package struct BranchStatistics: Sendable, Equatable {
    /// Finite values.
    package var values: Int64 = 0
    package var nonfinite: Int64 = 0
    /// Of the finite values; 0 where there are none.
    package var min = 0.0
    package var max = 0.0
    package var mean = 0.0
    /// The sum of squared distances from the mean.
    package var squares = 0.0
    /// The largest number of items in one entry.
    package var multiplicity: Int64 = 0

    package init() {}

    package var deviation: Double { values > 0 ? (squares / Double(values)).squareRoot() : 0 }

    /// Adds statistics that come later in the canonical order (Chan, Golub and LeVeque's update).
    package mutating func merge(_ other: BranchStatistics) {
        nonfinite += other.nonfinite
        multiplicity = Swift.max(multiplicity, other.multiplicity)
        guard other.values > 0 else { return }
        guard values > 0 else {
            let kept = (nonfinite, multiplicity)
            self = other
            (nonfinite, multiplicity) = kept
            return
        }
        let total = Double(values + other.values)
        let delta = other.mean - mean
        mean += delta * (Double(other.values) / total)
        squares += other.squares + delta * delta * (Double(values) * Double(other.values) / total)
        values += other.values
        min = Swift.min(min, other.min)
        max = Swift.max(max, other.max)
    }
}

/// The specs of one part of one block: a partial specs.
package struct PartialSpecs: Sendable, Equatable {
    /// Entries of this part.
    package var rows: Int64
    /// In the order of the chunk's branches.
    package var branches: [BranchStatistics]

    package init(rows: Int64 = 0, branches: [BranchStatistics]) {
        self.rows = rows
        self.branches = branches
    }

    package mutating func merge(_ other: PartialSpecs) {
        rows += other.rows
        for index in branches.indices { branches[index].merge(other.branches[index]) }
    }
}

extension PartialSpecs {
    /// The specs of each part of a block.
    ///
    /// - Parameters:
    ///   - range: the block's entries within the batch.
    ///   - parts: for each entry of the block, its part (0, 1, 2).
    package static func compute(_ batch: ColumnBatch, _ range: Range<Int>, parts: [UInt8]) -> [PartialSpecs] {
        var specs = [PartialSpecs](repeating: PartialSpecs(branches: .init(repeating: BranchStatistics(), count: batch.columns.count)), count: 3)
        for part in parts { specs[Int(part)].rows += 1 }
        for (index, column) in batch.columns.enumerated() {
            var accumulators = (Accumulator(), Accumulator(), Accumulator())
            switch column.type {
            case .bool: scan(column, Truth.self, range, parts, &accumulators)
            case .uint8: scan(column, UInt8.self, range, parts, &accumulators)
            case .int8: scan(column, Int8.self, range, parts, &accumulators)
            case .int16: scan(column, Int16.self, range, parts, &accumulators)
            case .uint16: scan(column, UInt16.self, range, parts, &accumulators)
            case .int32: scan(column, Int32.self, range, parts, &accumulators)
            case .uint32: scan(column, UInt32.self, range, parts, &accumulators)
            case .int64: scan(column, Int64.self, range, parts, &accumulators)
            case .uint64: scan(column, UInt64.self, range, parts, &accumulators)
            case .float32: scan(column, Float.self, range, parts, &accumulators)
            case .float64: scan(column, Double.self, range, parts, &accumulators)
            }
            specs[0].branches[index] = accumulators.0.statistics
            specs[1].branches[index] = accumulators.1.statistics
            specs[2].branches[index] = accumulators.2.statistics
        }
        return specs
    }
}

/// A value that statistics can be made of.
package protocol StatisticsValue: BitwiseCopyable { var asDouble: Double { get } }
/// A byte of a bool column: any but 0 is true.
private struct Truth: StatisticsValue {
    var byte: UInt8
    var asDouble: Double { byte == 0 ? 0 : 1 }
}

extension UInt8: StatisticsValue { package var asDouble: Double { Double(self) } }
extension Int8: StatisticsValue { package var asDouble: Double { Double(self) } }
extension Int16: StatisticsValue { package var asDouble: Double { Double(self) } }
extension UInt16: StatisticsValue { package var asDouble: Double { Double(self) } }
extension Int32: StatisticsValue { package var asDouble: Double { Double(self) } }
extension UInt32: StatisticsValue { package var asDouble: Double { Double(self) } }
extension Int64: StatisticsValue { package var asDouble: Double { Double(self) } }
extension UInt64: StatisticsValue { package var asDouble: Double { Double(self) } }
extension Float: StatisticsValue { package var asDouble: Double { Double(self) } }
extension Double: StatisticsValue { package var asDouble: Double { self } }

/// Two passes over values that lie in the cache: first the mean, then the squares.
private struct Accumulator {
    var values: Int64 = 0
    var nonfinite: Int64 = 0
    var min = Double.infinity
    var max = -Double.infinity
    var sum = 0.0
    var mean = 0.0
    var squares = 0.0
    var multiplicity = 0

    @inline(__always)
    mutating func first(_ x: Double) {
        // Beyond Float32 a value is missing for training too; sums of squares stay finite.
        guard abs(x) <= 3.4028234663852886e38 else { return nonfinite += 1 }
        values += 1
        sum += x
        if x < min { min = x }
        if x > max { max = x }
    }

    @inline(__always)
    mutating func second(_ x: Double) {
        let distance = x - mean
        if abs(x) <= 3.4028234663852886e38 { squares += distance * distance }
    }

    var statistics: BranchStatistics {
        var result = BranchStatistics()
        result.values = values
        result.nonfinite = nonfinite
        result.multiplicity = Int64(multiplicity)
        if values > 0 { (result.min, result.max, result.mean, result.squares) = (min, max, mean, squares) }
        return result
    }
}

private func scan<T: StatisticsValue>(
    _ column: Column, _: T.Type, _ range: Range<Int>, _ parts: [UInt8], _ result: inout (Accumulator, Accumulator, Accumulator)
) {
    let values = column.values.values(of: T.self, count: column.count)
    let width = column.shape.itemValues
    let offsets = column.shape.varyingLevels == 1 ? column.entryOffsets : nil
    func each(_ body: (inout Accumulator, Range<Int>, Int) -> Void) {
        for (local, entry) in range.enumerated() {
            let span: Range<Int>
            let multiplicity: Int
            if let offsets {
                span = Int(offsets[entry]) * width..<Int(offsets[entry + 1]) * width
                multiplicity = Int(offsets[entry + 1] - offsets[entry])
            } else {
                span = column.valueRange(entry..<entry + 1)
                multiplicity = width > 0 ? span.count / width : 0
            }
            switch parts[local] {
            case 0: body(&result.0, span, multiplicity)
            case 1: body(&result.1, span, multiplicity)
            default: body(&result.2, span, multiplicity)
            }
        }
    }
    each { accumulator, span, multiplicity in
        for index in span { accumulator.first(values[index].asDouble) }
        if multiplicity > accumulator.multiplicity { accumulator.multiplicity = multiplicity }
    }
    func settle(_ accumulator: inout Accumulator) {
        if accumulator.values > 0 { accumulator.mean = accumulator.sum / Double(accumulator.values) }
    }
    settle(&result.0)
    settle(&result.1)
    settle(&result.2)
    each { accumulator, span, _ in
        for index in span { accumulator.second(values[index].asDouble) }
    }
}
