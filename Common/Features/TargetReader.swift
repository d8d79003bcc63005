package import Bytes
package import Cluster
package import Columns

/// Reads the targets of entries from a branch of numbers.
package enum TargetReader {
    /// - Parameters:
    ///   - column: one number an entry, of any type.
    ///   - entries: the entries wanted, counted from the column's first.
    ///   - branch: the target's name, for errors.
    ///   - first: the number of the column's first entry in its tree.
    ///   - file: where the column is from.
    /// - Returns: `[entries]`, all finite.
    /// - Throws: `InputError` that names the file and the entry where a value is not finite or does not fit Float32;
    ///   and where the branch has several values an entry.
    package static func targets(
        _ column: Column, _ entries: [Int], branch: String, first: Int64, file: FileReplicas
    ) throws(InputError) -> [Float] {
        guard column.shape == .flat else {
            throw InputError(
                .input, "the target has more than one value an entry", file: file.logicalName, object: branch,
                expected: "a branch of single numbers", found: "the shape \(column.shape.description)")
        }
        let values = column.withValues(EntriesVisitor(entries: entries))
        if let wrong = values.targets.firstIndex(where: { !$0.isFinite }), let found = values.firstWrong {
            throw InputError(
                .input, "a target is not finite or does not fit Float32", file: file.logicalName,
                object: "\(branch), entry \(first + Int64(entries[wrong]))",
                expected: "a finite number up to \(Float.greatestFiniteMagnitude) in size", found: "\(found)",
                hint: "Leave the file out.")
        }
        return values.targets
    }

    /// The values of some entries of a flat column, and the first of them that does not fit.
    private struct EntriesVisitor: ColumnVisitor {
        let entries: [Int]

        func visit<Value: NativeValue>(
            _ values: UnsafeBufferPointer<Value>
        ) -> (targets: [Float], firstWrong: Double?) {
            let targets = entries.map { values[$0].float32 }
            return (targets, zip(entries, targets).first { !$1.isFinite }.map { values[$0.0].float64 })
        }
    }
}
