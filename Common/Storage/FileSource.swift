import Bytes
import Glibc

/// A file of this machine, read by `pread`.
package final class FileSource: RangeSource {
    package let url: String
    package let size: Int
    private let descriptor: Int32
    /// Fresh memory for each read would cost a page fault for every four kilobytes.
    private static let pool = BufferPool(limit: 32, byteLimit: 64 << 20)

    package init(path: String) throws(FormatError) {
        url = path
        descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw FormatError(errno == ENOENT ? .missing : .unreachable, "cannot open the file: \(String(cString: strerror(errno)))", file: path)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            Glibc.close(descriptor)
            throw FormatError(.input, "this is not a regular file", file: path)
        }
        size = status.st_size
    }

    deinit { Glibc.close(descriptor) }

    package func read(_ ranges: [ByteRange]) throws(FormatError) -> FetchedRanges {
        try check(ranges)
        let plan = CoalescedRanges(ranges, gap: 0, limit: 8 << 20)
        // One buffer for all: they live and die together.
        let buffer = Self.pool.take(plan.merged.reduce(0) { $0 + $1.length })
        var starts: [Int] = []
        starts.reserveCapacity(plan.merged.count)
        var filled = 0
        for range in plan.merged {
            starts.append(filled)
            var done = 0
            while done < range.length {
                let count = pread(descriptor, buffer.pointer + filled + done, range.length - done, range.offset + done)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else {
                    throw FormatError(
                        .truncated, count < 0 ? "cannot read: \(String(cString: strerror(errno)))" : "the file ends too early",
                        file: url, offset: range.offset + done)
                }
                done += count
            }
            filled += range.length
        }
        let slices = ranges.indices.map { index in
            let (range, home) = (ranges[index], plan.home[index])
            return UnsafeRawBufferPointer(start: buffer.pointer + starts[home] + (range.offset - plan.merged[home].offset), count: range.length)
        }
        return FetchedRanges(slices: slices, transferred: filled, buffer: buffer, pool: Self.pool)
    }
}

extension RangeSource {
    func check(_ ranges: [ByteRange]) throws(FormatError) {
        for range in ranges where range.offset < 0 || range.length < 0 || range.offset > size || range.length > size - range.offset { throw outside(range) }
    }

    func outside(_ range: ByteRange) -> FormatError {
        FormatError(
            .truncated, "the file is shorter than what it points to", file: url, offset: range.offset,
            expected: "\(range.length) bytes there", found: "a file of \(size) bytes",
            hint: "It was probably cut while being copied: fetch it again.")
    }
}
