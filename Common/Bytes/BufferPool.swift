import Synchronization

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

    /// A buffer of at least `capacity` bytes: a kept one where one is of about that size, or fresh memory,
    /// uninitialised.
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

    /// Keeps a buffer that nobody uses any more, where the bounds allow; otherwise it is freed.
    package func give(_ buffer: AlignedBuffer) {
        idle.withLock { idle in
            guard idle.buffers.count < limit, idle.bytes + buffer.capacity <= byteLimit else { return }
            idle.buffers.append(buffer)
            idle.bytes += buffer.capacity
        }
    }
}
