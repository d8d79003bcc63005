import Bytes
import CXrootd
import Cluster

/// One read under way; owns its bytes.
final class XrootdRequest {
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
        let result = xrootdResult { cxr_wait(request, Int32(left), &data, &length, $0, $1) }
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
