import Synchronization

/// Memory on a 64-byte boundary, for columns and inflated baskets. Its owner alone writes; afterwards it may be shared for reading.
@usableFromInline
package final class AlignedBuffer: @unchecked Sendable {
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

    package var bytes: UnsafeMutableRawBufferPointer { .init(start: pointer, count: capacity) }

    @inlinable
    package func values<T: BitwiseCopyable>(of _: T.Type, count: Int) -> UnsafeMutableBufferPointer<T> {
        precondition(count * MemoryLayout<T>.stride <= capacity)
        return .init(start: pointer.assumingMemoryBound(to: T.self), count: count)
    }
}

/// A bounded store of buffers to be used again, so that the steady state of reading allocates nothing.
package final class BufferPool: Sendable {
    private struct Idle {
        var buffers: [AlignedBuffer] = []
        var bytes = 0
    }

    private let idle = Mutex(Idle())
    private let limit: Int
    private let byteLimit: Int

    /// - Parameters:
    ///   - limit: the number of idle buffers kept.
    ///   - byteLimit: their bytes together.
    package init(limit: Int = 64, byteLimit: Int = 64 << 20) {
        self.limit = limit
        self.byteLimit = byteLimit
        idle.withLock { $0.buffers.reserveCapacity(limit) }
    }

    package func take(_ capacity: Int) -> AlignedBuffer {
        let found: AlignedBuffer? = idle.withLock { idle in
            // The last given is the likeliest to lie in the cache.
            guard
                let index = idle.buffers.lastIndex(where: {
                    $0.capacity >= capacity && $0.capacity <= 4 * max(capacity, 4096)
                })
            else { return nil }
            let buffer = idle.buffers.remove(at: index)
            idle.bytes -= buffer.capacity
            return buffer
        }
        // A power of two, so that baskets of about one size share buffers.
        return found
            ?? AlignedBuffer(
                capacity: capacity > 1 << 40
                    ? capacity : 1 << (Int.bitWidth - max(63, capacity - 1).leadingZeroBitCount))
    }

    package func give(_ buffer: AlignedBuffer) {
        idle.withLock { idle in
            guard idle.buffers.count < limit, idle.bytes + buffer.capacity <= byteLimit else { return }
            idle.buffers.append(buffer)
            idle.bytes += buffer.capacity
        }
    }
}
