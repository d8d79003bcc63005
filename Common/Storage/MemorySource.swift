package import Bytes

/// A file that lies in memory.
package final class MemorySource: RangeSource {
    package let url: String
    private let buffer: AlignedBuffer
    package let size: Int

    package init(_ bytes: [UInt8], url: String = "memory") {
        self.url = url
        size = bytes.count
        buffer = AlignedBuffer(capacity: bytes.count)
        bytes.withUnsafeBytes { buffer.bytes.copyMemory(from: $0) }
    }

    /// Brings the ranges that are missing: see `RangeSource`.
    package func read(into fetch: RangeFetch) throws(InputError) {
        try check(fetch.ranges)
        let missing = fetch.missing
        for index in missing { fetch.set(index, to: UnsafeRawPointer(buffer.pointer + fetch.ranges[index].offset)) }
        fetch.keep(buffer, transferred: missing.reduce(0) { $0 + fetch.ranges[$1].length })
    }
}
