import Bytes
import Columns

/// A column of which neither the number of values nor that of any list is known before it was read.
struct GrowingColumn {
    private struct Level {
        var buffer: AlignedBuffer
        /// Offsets written.
        var count = 1
        var items: Int64 = 0
    }

    let type: DataType
    private let pool: BufferPool
    private(set) var values: AlignedBuffer
    /// Bytes written.
    var used = 0
    private var levels: [Level]

    /// - Parameter levels: the number of varying levels.
    init(type: DataType, levels: Int, pool: BufferPool) {
        self.type = type
        self.pool = pool
        values = pool.take(4096)
        self.levels = (0..<levels).map { _ in Level(buffer: pool.take(4096)) }
        restart()
    }

    /// Forgets what was collected.
    mutating func restart() {
        used = 0
        for index in levels.indices {
            levels[index].count = 1
            levels[index].items = 0
            levels[index].buffer.values(of: Int64.self, count: 1)[0] = 0
        }
    }

    /// Makes room for `bytes` more behind those used.
    mutating func reserve(_ bytes: Int) {
        if used + bytes > values.capacity { values = grown(values, used, to: used + bytes) }
    }

    mutating func append(_ encoding: Encoding, _ source: UnsafeRawPointer, _ count: Int) {
        precondition(encoding.type == type, "a recipe reads another type than its column has")
        reserve(count * type.size)
        encoding.decode(source, count, to: values.pointer + used)
        used += count * type.size
    }

    /// Ends a list of `count` items of a varying level.
    mutating func push(_ level: Int, _ count: Int) {
        let at = levels[level].count
        if (at + 1) * 8 > levels[level].buffer.capacity {
            levels[level].buffer = grown(levels[level].buffer, at * 8, to: (at + 1) * 8)
        }
        levels[level].items += Int64(count)
        levels[level].buffer.values(of: Int64.self, count: at + 1)[at] = levels[level].items
        levels[level].count += 1
    }

    /// A copy of a buffer with room for `needed` bytes, at least twice as large; the old one goes back to the pool.
    private func grown(_ buffer: AlignedBuffer, _ used: Int, to needed: Int) -> AlignedBuffer {
        let larger = pool.take(max(needed, 2 * buffer.capacity))
        larger.pointer.copyMemory(from: buffer.pointer, byteCount: used)
        pool.give(buffer)
        return larger
    }

    /// What was collected. The buffers are the column's from now on: nothing may be added.
    func column(_ shape: Shape, entries: Int) -> Column {
        Column(
            type: type, shape: shape, entries: entries, count: used / type.size, values: values,
            offsets: levels.map { .init(buffer: $0.buffer, count: $0.count) }, pool: pool)
    }
}
