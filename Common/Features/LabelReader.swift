package import Bytes
package import Columns

/// Reads the classes of entries from a branch of whole numbers.
package enum LabelReader {
    /// A class is below this.
    package static let maxClasses = 1000

    /// - Parameters:
    ///   - column: one number an entry.
    ///   - entries: the entries wanted, counted from the column's first.
    /// - Returns: `[entries]`.
    /// - Throws: `InputError` where the branch has several values an entry, or a value is no class.
    package static func labels(_ column: Column, _ entries: [Int]) throws(InputError) -> [Int32] {
        guard column.shape == .flat else {
            throw InputError(
                .input, "the label branch has more than one value an entry", expected: "a branch of single numbers",
                found: "the shape \(column.shape.description)")
        }
        let values = column.withValues(EntriesVisitor(entries: entries))
        var labels: [Int32] = []
        labels.reserveCapacity(values.count)
        for value in values {
            guard let label = Int32(exactly: value), (0..<Int32(maxClasses)).contains(label) else {
                throw InputError(
                    .input, "a label is no class", expected: "a whole number from 0 to \(maxClasses - 1)",
                    found: "\(value)")
            }
            labels.append(label)
        }
        return labels
    }

    /// The values of some entries of a flat column.
    private struct EntriesVisitor: ColumnVisitor {
        let entries: [Int]

        func visit<Value: NativeValue>(_ values: UnsafeBufferPointer<Value>) -> [Double] {
            entries.map { values[$0].float64 }
        }
    }
}
