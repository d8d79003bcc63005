package import Bytes
import Glibc

/// A file of this machine, read by `pread`.
package final class FileSource: RangeSource {
    package let url: String
    package let size: Int
    private let descriptor: Int32
    private let buffers: BufferPool

    /// - Parameter buffers: where reads take their memory from.
    package init(path: String, buffers: BufferPool) throws(InputError) {
        url = path
        self.buffers = buffers
        descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw InputError(
                errno == ENOENT ? .missing : .unreachable, "cannot open the file: \(String(cString: strerror(errno)))",
                file: path)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            Glibc.close(descriptor)
            throw InputError(.input, "this is not a regular file", file: path)
        }
        size = status.st_size
    }

    deinit { Glibc.close(descriptor) }

    /// Brings the ranges that are missing: see `RangeSource`.
    package func read(into fetch: RangeFetch) throws(InputError) {
        try check(fetch.ranges)
        let plan = CoalescedRanges(fetch, gap: 0, limit: 8 << 20)
        // One buffer for all: they live and die together.
        let buffer = PooledBuffer(buffers.take(plan.bytes), buffers)
        var filled = 0
        for (home, range) in plan.merged.enumerated() {
            var done = 0
            while done < range.length {
                let count = pread(descriptor, buffer.pointer + filled + done, range.length - done, range.offset + done)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else {
                    throw InputError(
                        .truncated,
                        count < 0 ? "cannot read: \(String(cString: strerror(errno)))" : "the file ends too early",
                        file: url, offset: range.offset + done)
                }
                done += count
            }
            plan.set(home, to: UnsafeRawPointer(buffer.pointer + filled), in: fetch)
            filled += range.length
        }
        fetch.keep(buffer, transferred: filled)
    }
}
