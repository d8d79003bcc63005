package import Bytes
import CXrootd
import Cluster

/// A file at a `root://` site, read by XrdCl: asynchronous vector reads of what is scattered, plain reads of what is
/// large.
// SAFETY: its fields are constants; XrdCl's file behind `handle` may be used by several threads.
package final class XrootdSource: RangeSource, @unchecked Sendable {
    package let url: String
    package let size: Int
    package let server: String?
    private let site: SiteAccess
    private let segmentsLimit: Int
    private let segmentLimit: Int
    private let handle: OpaquePointer

    /// - Parameter servers: hosts that a redirector shall not send us to again.
    package init(url: String, site: SiteAccess, avoiding servers: [String] = []) throws(InputError) {
        self.url = url
        self.site = site
        var handle: OpaquePointer?
        var info = cxr_file_info()
        let address = try site.credentials.sign(url, avoiding: servers)
        let result = xrootdResult { cxr_open(address, Int32(site.limits.openSeconds), &handle, &info, $0, $1) }
        guard result.code == CXR_OK, let handle else { throw storageError(result, "cannot open the file", url) }
        guard let bytes = Int(exactly: info.size) else {
            cxr_close(handle)
            throw InputError(
                .faulty, "the site reported an impossible size", file: url, expected: "0 to \(Int.max) bytes",
                found: "\(info.size)")
        }
        self.handle = handle
        size = bytes
        segmentsLimit = Int(info.readv_iov_max)
        segmentLimit = Int(info.readv_ior_max)
        let server = withUnsafeBytes(of: &info.server) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        self.server = server.isEmpty ? nil : server
    }

    deinit { cxr_close(handle) }

    /// Brings the ranges that are missing: see `RangeSource`.
    package func read(into fetch: RangeFetch) throws(InputError) {
        try check(fetch.ranges)
        let limits = site.limits
        do throws(InputError) { try read(into: fetch, limits, vectors: site.vectorsAllowed) } catch {
            guard error.code == .unsupported, site.vectorsAllowed else { throw error }
            // A server without vector reads gets plain ones.
            site.forbidVectors()
            try read(into: fetch, limits, vectors: false)
        }
    }

    private func read(into fetch: RangeFetch, _ limits: SiteLimits, vectors: Bool) throws(InputError) {
        // What a plain read costs in requests is saved in bytes.
        let plan = CoalescedRanges(
            fetch, gap: vectors ? limits.gapBytes : max(limits.gapBytes, 32 << 10), limit: limits.requestBytes)
        guard plan.merged.allSatisfy({ $0.length <= Int(UInt32.max) }) else {
            throw InputError(.limit, "one read is too large", file: url, expected: "at most 4 GiB")
        }
        let requests = self.requests(plan.merged, limits, vectors: vectors)
        var pending: [XrootdRequest] = []
        var settled = 0
        for request in requests {
            // A request more only if the site has room; the first one waits for it.
            while true {
                if let ticket = try site.enter(request.bytes, wait: settled == pending.count) {
                    pending.append(XrootdRequest(handle, request, site, ticket, limits))
                    break
                }
                try settle()
            }
        }
        while settled < pending.count { try settle() }

        func settle() throws(InputError) {
            let request = pending[settled]
            let data = try request.wait(url)
            settled += 1
            var offset = 0
            for piece in request.plan.pieces {
                plan.set(piece, to: data + offset, in: fetch)
                offset += plan.merged[piece].length
            }
            fetch.keep(request, transferred: request.plan.bytes)
        }
    }

    struct Request {
        var segments: [cxr_range] = []
        /// Indices of the merged ranges in it.
        var pieces: [Int] = []
        var bytes = 0
    }

    /// What is longer than a segment may be is read plainly; the rest is packed into vectors within the server's
    /// limits.
    private func requests(_ merged: [ByteRange], _ limits: SiteLimits, vectors: Bool) -> [Request] {
        var requests: [Request] = []
        var current = Request()
        for (index, range) in merged.enumerated() {
            let segment = cxr_range(offset: UInt64(range.offset), length: UInt32(clamping: range.length))
            guard vectors, range.length <= min(segmentLimit, limits.requestBytes / 4) else {
                requests.append(Request(segments: [segment], pieces: [index], bytes: range.length))
                continue
            }
            if !current.pieces.isEmpty,
                current.segments.count >= segmentsLimit || current.bytes + range.length > limits.requestBytes
            {
                requests.append(current)
                current = Request()
            }
            current.segments.append(segment)
            current.pieces.append(index)
            current.bytes += range.length
        }
        if !current.pieces.isEmpty { requests.append(current) }
        return requests
    }
}
