import Bytes
import CXrootd
import Cluster

/// A file at a `root://` site, read by XrdCl: asynchronous vector reads of what is scattered, plain reads of what is
/// large.
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
        let result = withErrorText { cxr_open(address, Int32(site.limits.openSeconds), &handle, &info, $0, $1) }
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

    fileprivate struct Request {
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

/// One read under way; owns its bytes.
private final class XrootdRequest {
    let plan: XrootdSource.Request
    private let request: OpaquePointer?
    private let site: SiteAccess
    private let ticket: SiteAccess.Ticket
    private let seconds: Int
    private var settled = false
    private var abandoned = false

    init(
        _ file: OpaquePointer, _ plan: XrootdSource.Request, _ site: SiteAccess, _ ticket: SiteAccess.Ticket,
        _ limits: SiteLimits
    ) {
        (self.plan, self.site, self.ticket, seconds) = (plan, site, ticket, limits.readSeconds)
        // XrdCl's own deadline comes later: whatever its threads still write goes to a buffer that is nobody else's.
        let timeout = Int32(clamping: min(limits.readSeconds + 60, 60_000))
        let context = Unmanaged.passRetained(site)
        request = cxr_read(
            file, plan.segments, Int32(plan.segments.count), timeout,
            { context, bytes, abandoned in
                let site = Unmanaged<SiteAccess>.fromOpaque(context!).takeRetainedValue()
                if abandoned != 0 { site.released(Int(bytes)) }
            }, context.toOpaque())
        if request == nil { context.release() }
    }

    deinit {
        // Given up before its answer was looked at: another request of the same read failed.
        if !settled {
            site.leave(ticket, .abandoned)
            abandoned = true
        }
        let stillWritten = cxr_release(request) != 0
        if abandoned, !stillWritten { site.released(ticket.bytes) }
    }

    func wait(_ url: String) throws(InputError) -> UnsafeRawPointer {
        var data: UnsafePointer<UInt8>?
        var length: UInt64 = 0
        let left = max(0, seconds * 1000 - ticket.milliseconds)
        let result = withErrorText { cxr_wait(request, Int32(left), &data, &length, $0, $1) }
        settled = true
        guard result.code == CXR_OK, let data else {
            let error = storageError(result, "cannot read", url)
            abandoned = result.code == CXR_DEADLINE
            site.leave(ticket, abandoned ? .abandoned : .failed)
            throw error
        }
        guard length == UInt64(plan.bytes) else {
            site.leave(ticket, .failed)
            throw InputError(
                .faulty, "the site sent another number of bytes than was asked for", file: url,
                expected: "\(plan.bytes)", found: "\(length)")
        }
        site.leave(ticket, .read)
        return UnsafeRawPointer(data)
    }
}

struct XrootdResult {
    var code: Int
    var text: String
}

func withErrorText(_ body: (UnsafeMutablePointer<CChar>, Int) -> Int32) -> XrootdResult {
    var code: Int32 = 0
    let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { buffer in
        buffer.initialize(repeating: 0)
        code = body(buffer.baseAddress!, buffer.count)
        return String(cString: buffer.baseAddress!)
    }
    return XrootdResult(code: Int(code), text: text.replacing("\n", with: " "))
}

func storageError(_ result: XrootdResult, _ what: String, _ url: String) -> InputError {
    let site = StorageURL(url).endpoint
    let text = Credentials.withoutSecrets(result.text)
    switch result.code {
    case Int(CXR_NOT_FOUND):
        return InputError(.missing, "\(what): the site \(site) has no such file (\(text))", file: url)
    case Int(CXR_DEADLINE):
        return InputError(.deadline, "\(what): the site \(site) did not answer in time (\(text))", file: url)
    case Int(CXR_DENIED):
        return InputError(
            .refused, "\(what): the site \(site) refuses (\(text))", file: url,
            hint: "A worker shows its token only to sites that the sites file names, and only over TLS.")
    case Int(CXR_UNSUPPORTED):
        return InputError(.unsupported, "\(what): the site \(site) does not do this (\(text))", file: url)
    case Int(CXR_NO_MEMORY): return InputError(.limit, "\(what): there is no memory for it", file: url)
    case Int(CXR_UNREACHABLE):
        return InputError(
            .unreachable, "\(what): the site \(site) cannot be reached (\(text))", file: url,
            hint: "Check the host and port, and that its server runs.")
    default: return InputError(.faulty, "\(what): the site \(site) answers with an error (\(text))", file: url)
    }
}
