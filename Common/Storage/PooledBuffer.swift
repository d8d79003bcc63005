import Bytes

/// A buffer that goes back to its pool when nobody uses it any more.
final class PooledBuffer {
    private let buffer: AlignedBuffer
    private let pool: BufferPool

    init(_ buffer: AlignedBuffer, _ pool: BufferPool) {
        self.buffer = buffer
        self.pool = pool
    }

    deinit { pool.give(buffer) }

    var pointer: UnsafeMutableRawPointer { buffer.pointer }
}
