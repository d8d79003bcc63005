import Bytes
import Collectives
import Synchronization

/// A group in which one sum of its first buffer breaks, as where a connection is lost.
final class BreakingGroup: Communicator {
    private let inner: ProcessGroup
    private let breaking: (sum: Int64, slice: Int)
    private let buffers = Mutex(0)

    /// - Parameters:
    ///   - sum: the sum that breaks, from 0.
    ///   - slice: the slice before which it breaks; one beyond the last breaks it after the whole sum.
    init(_ inner: ProcessGroup, sum: Int64, slice: Int) {
        self.inner = inner
        breaking = (sum, slice)
    }

    var rank: Int { inner.rank }
    var size: Int { inner.size }
    var lost: [Int]? { inner.lost }
    func connect() throws(InputError) { try inner.connect() }
    func barrier(_ name: String) -> Bool { inner.barrier(name) }
    func allGather(_ key: String, _ value: [UInt8]) -> [[UInt8]]? { inner.allGather(key, value) }
    func broadcast(_ bytes: [UInt8], from root: Int) throws(InputError) -> [UInt8] {
        try inner.broadcast(bytes, from: root)
    }

    func allReduceBuffer(count: Int) throws(InputError) -> any AllReduce {
        let buffer = try inner.allReduceBuffer(count: count)
        let isFirst = buffers.withLock { buffers in
            buffers += 1
            return buffers == 1
        }
        guard isFirst, let buffer = buffer as? AllReduceBuffer else { return buffer }
        return BreakingBuffer(buffer, sum: breaking.sum, slice: breaking.slice)
    }

    private final class BreakingBuffer: AllReduce {
        private let inner: AllReduceBuffer
        private let breaking: (sum: Int64, slice: Int)
        private let sums = Mutex<Int64>(0)

        init(_ inner: AllReduceBuffer, sum: Int64, slice: Int) {
            self.inner = inner
            breaking = (sum, slice)
        }

        var values: UnsafeMutableBufferPointer<Int64> { inner.values }

        func sum() throws(InputError) {
            let number = sums.withLock { sums in
                defer { sums += 1 }
                return sums
            }
            guard number == breaking.sum else { return try inner.sum() }
            for slice in 0..<min(breaking.slice, inner.sliceCount) { try inner.sum(slice: slice) }
            throw InputError(.unreachable, "the sum was broken off before slice \(breaking.slice)")
        }
    }
}
