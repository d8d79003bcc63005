import Bytes
import CKernels
package import Columns

/// The extremes and multiplicities of a branch, as MLaaS4HEP's first step computes them.
package struct ColumnExtremes: ColumnConsumer {
    package let type: DataType
    package let shape: Shape
    package private(set) var entries: Int64 = 0
    package private(set) var values: Int64 = 0
    package private(set) var finite: Int64 = 0
    /// The extremes of the finite values; nil where there are none.
    package private(set) var min: ExactNumber?
    package private(set) var max: ExactNumber?
    /// The largest number of items of each level in one item of the level above; 1 for a flat branch.
    package private(set) var multiplicities: [Int64]

    package init(type: DataType, shape: Shape) {
        self.type = type
        self.shape = shape
        multiplicities = .init(repeating: 0, count: Swift.max(1, shape.levels.count))
    }

    /// Takes in the counts, extremes and multiplicities of the branch's next piece.
    package mutating func add(_ column: Column) {
        entries += Int64(column.entries)
        values += Int64(column.count)
        if column.entries > 0 { addMultiplicities(column) }
        guard column.count > 0 else { return }
        let found = column.withValues(ExtremesVisitor())
        finite += Int64(found.finite)
        if found.finite > 0 { merge(found.min, found.max) }
    }

    /// Finds the extremes of a column's finite values.
    private struct ExtremesVisitor: ColumnVisitor {
        func visit<Value: NativeValue>(
            _ values: UnsafeBufferPointer<Value>
        ) -> (min: ExactNumber, max: ExactNumber, finite: Int) {
            guard let first = values.baseAddress else { return (.real(0), .real(0), 0) }
            let found = Value.extremes(first, count: values.count)
            return (ExactNumber(found.min), ExactNumber(found.max), found.finite)
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
                multiplicities[index] = Swift.max(
                    multiplicities[index], ck_widest_step(offsets.baseAddress, offsets.count))
                next += 1
            }
        }
    }

    private mutating func merge(_ low: ExactNumber, _ high: ExactNumber) {
        guard let known = min, let largest = max else {
            (min, max) = (low, high)
            return
        }
        min = known.smaller(low)
        max = largest.larger(high)
    }
}
