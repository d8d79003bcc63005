import Synchronization

/// Memory on a 64-byte boundary, for columns and inflated baskets. Its owner alone writes; afterwards it may be shared for reading.
package final class AlignedBuffer: @unchecked Sendable {
    package let pointer: UnsafeMutableRawPointer
    /// Bytes.
    package let capacity: Int

    package init(capacity: Int) {
        self.capacity = max(64, capacity)
        pointer = .allocate(byteCount: self.capacity, alignment: 64)
    }

    deinit { pointer.deallocate() }

    package var bytes: UnsafeMutableRawBufferPointer { .init(start: pointer, count: capacity) }

    package func values<T: BitwiseCopyable>(of _: T.Type, count: Int) -> UnsafeMutableBufferPointer<T> {
        precondition(count * MemoryLayout<T>.stride <= capacity)
        return .init(start: pointer.assumingMemoryBound(to: T.self), count: count)
    }
}

/// A bounded store of buffers to be used again, so that the steady state of reading allocates nothing.
package final class BufferPool: Sendable {
    private let free = Mutex<[AlignedBuffer]>([])
    private let limit: Int

    /// - Parameter limit: the number of idle buffers kept.
    package init(limit: Int = 64) { self.limit = limit }

    package func take(_ capacity: Int) -> AlignedBuffer {
        let found: AlignedBuffer? = free.withLock { free in
            guard let index = free.firstIndex(where: { $0.capacity >= capacity && $0.capacity <= 4 * max(capacity, 4096) })
            else { return nil }
            return free.remove(at: index)
        }
        // A power of two, so that baskets of about one size share buffers.
        return found ?? AlignedBuffer(capacity: 1 << (Int.bitWidth - max(63, capacity - 1).leadingZeroBitCount))
    }

    package func give(_ buffer: AlignedBuffer) {
        free.withLock { free in
            if free.count < limit { free.append(buffer) }
        }
    }
}
