import Bytes

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

    package func read(_ ranges: [ByteRange]) throws(FormatError) -> FetchedRanges {
        try check(ranges)
        return FetchedRanges(
            slices: ranges.map { UnsafeRawBufferPointer(start: buffer.pointer + $0.offset, count: $0.length) },
            transferred: ranges.reduce(0) { $0 + $1.length }, owners: [buffer])
    }
}
