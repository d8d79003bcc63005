/// Memory on a 64-byte boundary, for columns and inflated baskets.
// SAFETY: its owner alone writes; it is handed to other threads for reading, afterwards, or back to a pool.
@usableFromInline package final class AlignedBuffer: @unchecked Sendable {
    @usableFromInline
    package let pointer: UnsafeMutableRawPointer
    /// Bytes.
    @usableFromInline
    package let capacity: Int

    package init(capacity: Int) {
        self.capacity = max(64, capacity)
        pointer = .allocate(byteCount: self.capacity, alignment: 64)
    }

    deinit { pointer.deallocate() }

    /// All of the memory, `capacity` bytes.
    package var bytes: UnsafeMutableRawBufferPointer { .init(start: pointer, count: capacity) }

    /// The first `count` values of the memory.
    /// - Precondition: they fit into `capacity` bytes.
    @inlinable
    package func values<T: BitwiseCopyable>(of _: T.Type, count: Int) -> UnsafeMutableBufferPointer<T> {
        precondition(count * MemoryLayout<T>.stride <= capacity)
        return .init(start: pointer.assumingMemoryBound(to: T.self), count: count)
    }
}
