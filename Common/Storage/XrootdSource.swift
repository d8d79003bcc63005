import Bytes
import CXrootd

/// A file at a `root://` site, read by XrdCl's asynchronous vector reads.
package final class XrootdSource: RangeSource, @unchecked Sendable {
    package let url: String
    package let size: Int
    private let options: StorageOptions
    private let segmentsLimit: Int
    private let segmentLimit: Int
    private let handle: OpaquePointer

    package init(url: String, options: StorageOptions) throws(FormatError) {
        self.url = url
        self.options = options
        var handle: OpaquePointer?
        var info = cxr_file_info()
        let result = withErrorText { cxr_open(url, Int32(options.openTimeout), &handle, &info, $0, $1) }
        guard result.code == CXR_OK, let handle else {
            throw storageError(result, "cannot open the file", url)
        }
        self.handle = handle
        size = Int(info.size)
        segmentsLimit = Int(info.readv_iov_max)
        segmentLimit = Int(info.readv_ior_max)
    }

    deinit { cxr_close(handle) }

    package func read(_ ranges: [ByteRange]) throws(FormatError) -> FetchedRanges {
        try check(ranges)
        let plan = CoalescedRanges(ranges, gap: options.coalesceGap, limit: options.coalesceLimit)
        let requests = vectorRequests(plan.merged)
        var pending: [XrootdRequest] = []
        var placed = [UnsafeRawPointer?](repeating: nil, count: plan.merged.count)
        for (index, request) in requests.enumerated() {
            pending.append(XrootdRequest(handle, request.segments, timeout: options.readTimeout))
            // Bounded in flight: wait for the oldest before the next starts.
            if index + 1 - options.requestsInFlight >= 0 { try settle(index + 1 - options.requestsInFlight) }
        }
        for index in requests.indices.suffix(options.requestsInFlight - 1) { try settle(index) }

        func settle(_ index: Int) throws(FormatError) {
            let data = try pending[index].wait(seconds: options.readTimeout + 2, url: url)
            var offset = 0
            for merged in requests[index].merged {
                placed[merged] = data + offset
                offset += plan.merged[merged].length
            }
        }
        let slices = zip(ranges, plan.home).map { range, home in
            UnsafeRawBufferPointer(start: placed[home].map { $0 + (range.offset - plan.merged[home].offset) }, count: range.length)
        }
        return FetchedRanges(slices: slices, transferred: plan.merged.reduce(0) { $0 + $1.length }, owners: pending)
    }

    private struct VectorRequest {
        var segments: [cxr_range] = []
        var merged: [Int] = []
        var bytes = 0
    }

    /// Cuts merged ranges at the server's segment size and packs them into requests within its limits. The segments of one
    /// merged range stay in one request, so that its bytes lie together.
    private func vectorRequests(_ merged: [ByteRange]) -> [VectorRequest] {
        var requests: [VectorRequest] = []
        var current = VectorRequest()
        for (index, range) in merged.enumerated() {
            let segments = (range.length + segmentLimit - 1) / segmentLimit
            if !current.merged.isEmpty,
                current.segments.count + segments > segmentsLimit || current.bytes + range.length > options.requestLimit {
                requests.append(current)
                current = VectorRequest()
            }
            var offset = range.offset
            while offset < range.end {
                let length = min(segmentLimit, range.end - offset)
                current.segments.append(cxr_range(offset: UInt64(offset), length: UInt32(length)))
                offset += length
            }
            current.merged.append(index)
            current.bytes += range.length
        }
        if !current.merged.isEmpty { requests.append(current) }
        return requests
    }
}

/// One vector read under way; owns its bytes.
private final class XrootdRequest {
    private let request: OpaquePointer?

    init(_ file: OpaquePointer, _ segments: [cxr_range], timeout: Int) {
        request = cxr_read(file, segments, Int32(segments.count), Int32(timeout))
    }

    deinit { cxr_release(request) }

    func wait(seconds: Int, url: String) throws(FormatError) -> UnsafeRawPointer {
        var data: UnsafePointer<UInt8>?
        var length: UInt64 = 0
        let result = withErrorText { cxr_wait(request, Int32(seconds * 1000), &data, &length, $0, $1) }
        guard result.code == CXR_OK, let data else { throw storageError(result, "cannot read", url) }
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

func storageError(_ result: XrootdResult, _ what: String, _ url: String) -> FormatError {
    let site = StorageURL(url).site
    switch result.code {
    case Int(CXR_NOT_FOUND): return FormatError(.missing, "\(what): the site \(site) has no such file (\(result.text))", file: url)
    case Int(CXR_DEADLINE): return FormatError(.deadline, "\(what): the site \(site) did not answer in time (\(result.text))", file: url)
    case Int(CXR_DENIED): return FormatError(.unreachable, "\(what): the site \(site) refuses (\(result.text))", file: url)
    case Int(CXR_UNREACHABLE):
        return FormatError(
            .unreachable, "\(what): the site \(site) cannot be reached (\(result.text))", file: url,
            hint: "Check the host and port, and that its server runs.")
    default: return FormatError(.unreachable, "\(what) at \(site): \(result.text)", file: url)
    }
}
