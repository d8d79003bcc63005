import Bytes
import Storage

/// A file's metadata, read with few round trips: its head and its tail at once, since a writer puts the lists of keys,
/// the streamer descriptions and the trees' records last.
struct FileWindow {
    let source: any RangeSource
    private var head: [UInt8] = []
    /// The file's last bytes.
    private var tail: [UInt8] = []
    private static let headBytes = 4 << 10
    /// The tail is no longer than this; records before it are read by themselves.
    private static let maxTailBytes = 8 << 20

    /// Reads both ends.
    init(_ source: any RangeSource) throws(InputError) {
        self.source = source
        let size = source.size
        let first = min(Self.headBytes, size)
        // A small file has little metadata: not more than a hundredth is read in vain.
        let last = min(size - first, max(16 << 10, min(256 << 10, size / 128)))
        let ends = try source.read([ByteRange(offset: 0, length: first), ByteRange(offset: size - last, length: last)])
        head = ends.bytes(0)
        tail = ends.bytes(1)
    }

    /// Holds nothing.
    init(unread source: any RangeSource) { self.source = source }

    /// Takes over what another copy of this window has read beyond it, unless this one was closed meanwhile.
    mutating func adopt(_ other: FileWindow) {
        if !tail.isEmpty, other.tail.count > tail.count { tail = other.tail }
    }

    mutating func close() {
        head = []
        tail = []
    }

    mutating func bytes(_ range: ByteRange) throws(InputError) -> [UInt8] {
        guard range.offset >= 0, range.length >= 0, range.offset <= source.size,
            range.length <= source.size - range.offset
        else {
            throw InputError(
                .truncated, "a record lies outside the file", offset: range.offset,
                expected: "\(range.length) bytes there",
                found: "a file of \(source.size) bytes", hint: "The file is cut short or damaged: fetch it again.")
        }
        if range.end <= head.count { return Array(head[range.offset..<range.end]) }
        let start = source.size - tail.count
        if range.offset < start, range.end > start - (1 << 20), !tail.isEmpty,
            source.size - range.offset <= Self.maxTailBytes
        {
            // Records before the tail lie side by side: a little more is read than is asked for.
            let from = max(head.count, min(range.offset, start - tail.count))
            tail = try source.read([ByteRange(offset: from, length: start - from)]).bytes(0) + tail
        }
        let begin = source.size - tail.count
        guard range.offset >= begin else { return try source.read([range]).bytes(0) }
        return Array(tail[range.offset - begin..<range.end - begin])
    }
}
