public import Bytes

/// The values of one branch for a range of entries, contiguous, in the machine's byte order.
@usableFromInline
// SAFETY: its fields are constants; its buffers are filled before it is made and only read while it lives.
package final class Column: @unchecked Sendable {
    @usableFromInline
    package let type: DataType
    package let shape: Shape
    package let entries: Int
    /// Number of values in `values`.
    @usableFromInline
    package let count: Int
    @usableFromInline
    package let values: AlignedBuffer
    /// One for each varying level, outermost first.
    package let offsets: [Offsets]

    /// Where the items of one varying level begin: `count` Int64 from 0, one more than there are lists.
    /// They count items of the level below; within a fixed level, over the multiplied-out items.
    package struct Offsets {
        package let buffer: AlignedBuffer
        package let count: Int

        package init(buffer: AlignedBuffer, count: Int) {
            precondition(count * 8 <= buffer.capacity)
            self.buffer = buffer
            self.count = count
        }

        package var values: UnsafeMutableBufferPointer<Int64> { buffer.values(of: Int64.self, count: count) }
    }

    /// Where the buffers go when the column is no longer used.
    private let pool: BufferPool?

    package init(
        type: DataType, shape: Shape, entries: Int, count: Int, values: AlignedBuffer, offsets: [Offsets],
        pool: BufferPool? = nil
    ) {
        precondition(count * type.size <= values.capacity)
        precondition(shape.varyingLevels == offsets.count)
        self.type = type
        self.shape = shape
        self.entries = entries
        self.count = count
        self.values = values
        self.offsets = offsets
        self.pool = pool
    }

    deinit {
        guard let pool else { return }
        pool.give(values)
        for offset in offsets { pool.give(offset.buffer) }
    }

    /// Where entries begin, in items of the level below: only where the outermost level varies.
    package var entryOffsets: UnsafeMutableBufferPointer<Int64>? {
        shape.levels.first == .varying ? offsets[0].values : nil
    }

    /// The range of values (not items) that belongs to the entries `range`.
    package func valueRange(_ range: Range<Int>) -> Range<Int> {
        var (lower, upper) = (range.lowerBound, range.upperBound)
        var next = 0
        for level in shape.levels {
            switch level {
            case .fixed(let count): (lower, upper) = (lower * count, upper * count)
            case .varying:
                let offsets = offsets[next].values
                (lower, upper) = (Int(offsets[lower]), Int(offsets[upper]))
                next += 1
            }
        }
        return lower..<upper
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
