package import Bytes
package import Cluster

/// A file of this machine, read by `pread`. Its calls have deadlines, like those of remote sites.
package final class FileSource: RangeSource {
    package let url: String
    package let size: Int
    private let file: LocalFile
    private let site: SiteAccess
    /// Bytes that one call reads at most.
    private static let callBytes = 8 << 20

    package var version: FileVersion? { file.version }

    /// - Parameters:
    ///   - site: the deadlines, and where reads take their memory from.
    ///   - local: what may be read.
    package init(
        path: String, at site: SiteAccess = SiteAccess("local"), local: LocalFiles = .all
    ) throws(InputError) {
        url = path
        self.site = site
        file = try local.open(path, seconds: site.limits.openSeconds)
        size = file.version.bytes
    }

    /// What one call reads into. Owned by the call: one that is given up may still write.
    // SAFETY: the memory of `buffer` is written by one call at a time, and read when all have returned.
    private final class Target: @unchecked Sendable {
        let buffer: PooledBuffer
        init(_ buffer: PooledBuffer) { self.buffer = buffer }
    }

    /// Brings the ranges that are missing: see `RangeSource`.
    package func read(into fetch: RangeFetch) throws(InputError) {
        try check(fetch.ranges)
        let plan = CoalescedRanges(fetch, gap: 0, limit: Self.callBytes)
        let pool = site.resources.buffers
        // One buffer for all: they live and die together.
        let target = Target(PooledBuffer(pool.take(plan.bytes), pool))
        for pieces in Self.calls(plan.merged) { try read(pieces, into: target) }
        var filled = 0
        for (home, range) in plan.merged.enumerated() {
            plan.set(home, to: UnsafeRawPointer(target.buffer.pointer + filled), in: fetch)
            filled += range.length
        }
        fetch.keep(target.buffer, transferred: filled)
    }

    private func read(_ pieces: [LocalFile.Piece], into target: Target) throws(InputError) {
        let error = try LocalThreads.shared.run(url, seconds: site.limits.readSeconds) { [file] () -> InputError? in
            do throws(InputError) {
                try file.read(pieces, into: target.buffer.pointer)
                return nil
            } catch { return error }
        }
        if let error { throw error }
    }

    /// The pieces that each call reads.
    private static func calls(_ ranges: [ByteRange]) -> [[LocalFile.Piece]] {
        var calls: [[LocalFile.Piece]] = []
        var (bytes, target) = (callBytes, 0)
        for range in ranges {
            var done = 0
            while done < range.length {
                if bytes >= callBytes {
                    calls.append([])
                    bytes = 0
                }
                let length = min(range.length - done, callBytes - bytes)
                calls[calls.count - 1].append(.init(offset: range.offset + done, length: length, target: target))
                done += length
                bytes += length
                target += length
            }
        }
        return calls
    }
}
