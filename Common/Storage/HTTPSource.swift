import AsyncHTTPClient
import Bytes
import Dispatch
import NIOCore
import NIOHTTP1
import Synchronization

/// A file at an `http://` or `https://` site, read by range requests.
package final class HTTPSource: RangeSource {
    package let url: String
    package let size: Int
    /// The server's tag for this very content, where it gives one that is exact.
    private let tag: String?
    private let options: StorageOptions

    private static let client = HTTPClient(
        eventLoopGroupProvider: .singleton, configuration: {
            var configuration = HTTPClient.Configuration()
            configuration.redirectConfiguration = .follow(max: 5, allowCycles: false)
            // A site that is away should be told of at once, not tried until the deadline.
            configuration.connectionPool.retryConnectionEstablishment = false
            configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 16
            return configuration
        }())

    /// Asks for the first byte: the answer tells the size, and whether the server gives ranges.
    package init(url: String, options: StorageOptions) throws(FormatError) {
        self.url = url
        self.options = options
        let request = RangeRequest(url: Self.address(url), range: ByteRange(offset: 0, length: 1), size: nil, tag: nil)
        let head = try Self.started(request, seconds: options.openTimeout).wait(url, "cannot open the file")
        size = head.size
        tag = head.tag
    }

    /// Grid names of the same protocols.
    private static func address(_ url: String) -> String {
        if url.hasPrefix("davs://") { return "https" + url.dropFirst(4) }
        if url.hasPrefix("dav://") { return "http" + url.dropFirst(3) }
        return url
    }

    package func read(_ ranges: [ByteRange]) throws(FormatError) -> FetchedRanges {
        try check(ranges)
        let plan = CoalescedRanges(ranges, gap: options.coalesceGap, limit: options.coalesceLimit)
        let requests = plan.merged.map { RangeRequest(url: Self.address(url), range: $0, size: size, tag: tag) }
        var pending: [PendingAnswer] = []
        var buffers: [AlignedBuffer] = []
        buffers.reserveCapacity(requests.count)
        for request in requests {
            // Bounded in flight: the oldest is waited for before the next starts.
            if pending.count - buffers.count >= max(1, options.requestsInFlight) {
                buffers.append(try pending[buffers.count].wait(url, "cannot read").buffer)
            }
            pending.append(try Self.started(request, seconds: options.readTimeout))
        }
        while buffers.count < pending.count { buffers.append(try pending[buffers.count].wait(url, "cannot read").buffer) }
        let slices = ranges.indices.map { index in
            let home = plan.home[index]
            return UnsafeRawBufferPointer(start: buffers[home].pointer + (ranges[index].offset - plan.merged[home].offset), count: ranges[index].length)
        }
        return FetchedRanges(slices: slices, transferred: plan.merged.reduce(0) { $0 + $1.length }, owners: buffers)
    }

    /// Sends a request. Its answer comes on the client's own threads: whoever waits here blocks none of the concurrency runtime's.
    private static func started(_ request: RangeRequest, seconds: Int) throws(FormatError) -> PendingAnswer {
        do {
            var message = try HTTPClient.Request(url: request.url)
            message.headers.add(name: "Range", value: "bytes=\(request.range.offset)-\(request.range.end - 1)")
            // Where the content is another by now, the server says so instead of sending it.
            if let tag = request.tag { message.headers.add(name: "If-Match", value: tag) }
            let task = client.execute(request: message, delegate: RangeReceiver(request), deadline: .now() + .seconds(Int64(seconds)))
            return PendingAnswer(task, seconds: seconds)
        } catch { throw failure(error, request.url, "cannot ask for the file") }
    }

    fileprivate static func failure(_ error: any Error, _ url: String, _ what: String) -> FormatError {
        let site = StorageURL(url).site
        if var known = error as? FormatError {
            known.message = "\(what): \(known.message)"
            return known.located(file: url)
        }
        if let error = error as? HTTPClientError, [.connectTimeout, .readTimeout, .deadlineExceeded, .getConnectionFromPoolTimeout].contains(error) {
            return FormatError(.deadline, "\(what): the site \(site) did not answer in time", file: url)
        }
        return FormatError(
            .unreachable, "\(what): the site \(site) cannot be reached (\(error))", file: url, hint: "Check the host and port, and that its server runs.")
    }
}

/// An answer that is on its way. What is abandoned owns its bytes, so that an answer that comes late harms nobody.
private final class PendingAnswer {
    private let task: HTTPClient.Task<RangeRequest.Answer>
    private let seconds: Int
    private let done = DispatchSemaphore(value: 0)
    private let result = ResultBox()

    private final class ResultBox: Sendable {
        let value = Mutex<Result<RangeRequest.Answer, any Error>?>(nil)
    }

    init(_ task: HTTPClient.Task<RangeRequest.Answer>, seconds: Int) {
        self.task = task
        self.seconds = seconds
        let (done, result) = (done, result)
        task.futureResult.whenComplete { outcome in
            result.value.withLock { $0 = outcome }
            done.signal()
        }
    }

    deinit { task.cancel() }

    func wait(_ url: String, _ what: String) throws(FormatError) -> RangeRequest.Answer {
        guard done.wait(timeout: .now() + .seconds(seconds + 2)) == .success, let outcome = result.value.withLock({ $0 }) else {
            throw FormatError(.deadline, "\(what): the site \(StorageURL(url).site) did not answer in \(seconds) s", file: url)
        }
        switch outcome {
        case .success(let answer): return answer
        case .failure(let error): throw HTTPSource.failure(error, url, what)
        }
    }
}

/// Takes in one answer: its head is checked before any byte of it is kept.
private final class RangeReceiver: HTTPClientResponseDelegate, Sendable {
    typealias Response = RangeRequest.Answer

    private struct Progress {
        var size = 0
        var tag: String?
        var buffer: AlignedBuffer?
        var length = 0
        var filled = 0
    }

    private let request: RangeRequest
    private let progress = Mutex(Progress())

    init(_ request: RangeRequest) { self.request = request }

    func didReceiveHead(task: HTTPClient.Task<Response>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
        do {
            try request.checkStatus(UInt(head.status.code))
            let total = try request.totalSize(head.headers.first(name: "Content-Range"))
            let tag = head.headers.first(name: "ETag").flatMap { $0.hasPrefix("W/") ? nil : $0 }
            try request.checkSame(total, tag)
            let length = min(request.range.length, total - request.range.offset)
            let buffer = AlignedBuffer(capacity: length)
            progress.withLock { $0 = Progress(size: total, tag: tag, buffer: buffer, length: length) }
            return task.eventLoop.makeSucceededVoidFuture()
        } catch { return task.eventLoop.makeFailedFuture(error) }
    }

    func didReceiveBodyPart(task: HTTPClient.Task<Response>, _ part: ByteBuffer) -> EventLoopFuture<Void> {
        let fits = progress.withLock { progress in
            guard let buffer = progress.buffer, part.readableBytes <= progress.length - progress.filled else { return false }
            part.withUnsafeReadableBytes { bytes in
                if let base = bytes.baseAddress { (buffer.pointer + progress.filled).copyMemory(from: base, byteCount: bytes.count) }
            }
            progress.filled += part.readableBytes
            return true
        }
        guard !fits else { return task.eventLoop.makeSucceededVoidFuture() }
        return task.eventLoop.makeFailedFuture(FormatError(
            .badLength, "the site sent more than was asked for", offset: request.range.offset, expected: "\(request.range.length) bytes"))
    }

    func didFinishRequest(task: HTTPClient.Task<Response>) throws -> Response {
        let progress = progress.withLock { $0 }
        guard let buffer = progress.buffer, progress.filled == progress.length else {
            throw FormatError(
                .truncated, "the site sent less than was asked for", offset: request.range.offset, expected: "\(progress.length) bytes",
                found: "\(progress.filled)")
        }
        return Response(buffer: buffer, size: progress.size, tag: progress.tag)
    }
}

/// One request for one range.
private struct RangeRequest: Sendable {
    let url: String
    let range: ByteRange
    /// What an earlier answer said of the file: a later one must agree.
    let size: Int?
    let tag: String?

    struct Answer: Sendable {
        let buffer: AlignedBuffer
        let size: Int
        let tag: String?
    }

    /// What an earlier answer said must still hold.
    func checkSame(_ total: Int, _ found: String?) throws(FormatError) {
        if let size, size != total { throw changed("\(size) bytes", "\(total)") }
        if let tag, let found, tag != found { throw changed(tag, found) }
    }

    func checkStatus(_ status: UInt) throws(FormatError) {
        let site = StorageURL(url).site
        switch status {
        case 206: return
        case 200:
            throw FormatError(
                .unsupported, "the site \(site) does not give parts of a file", expected: "HTTP status 206", found: "200",
                hint: "Read the file by root://, or copy it.")
        case 401, 403: throw FormatError(.unreachable, "the site \(site) refuses (HTTP status \(status))")
        case 404, 410: throw FormatError(.missing, "the site \(site) has no such file (HTTP status \(status))")
        case 412: throw changed(tag ?? "", "another")
        default: throw FormatError(.unreachable, "the site \(site) answered with HTTP status \(status)")
        }
    }

    private func changed(_ expected: String, _ found: String) -> FormatError {
        FormatError(.corrupt, "the file changed since it was opened", expected: expected, found: found)
    }

    /// `bytes FIRST-LAST/TOTAL`, which must be the range that was asked for.
    func totalSize(_ header: String?) throws(FormatError) -> Int {
        let text = header ?? "none"
        let parts = text.dropFirst("bytes ".count).split(separator: "/")
        let ends = parts.first?.split(separator: "-") ?? []
        guard text.hasPrefix("bytes "), parts.count == 2, ends.count == 2, Int(ends[0]) == range.offset, let last = Int(ends[1]),
            let total = Int(parts[1]), total > range.offset, last < total, last == min(range.end, total) - 1
        else {
            throw FormatError(
                .corrupt, "the site answers for another range than was asked for", expected: "bytes \(range.offset)-\(range.end - 1)/SIZE", found: text)
        }
        return total
    }
}
