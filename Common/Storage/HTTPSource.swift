import AsyncHTTPClient
import Bytes
import Dispatch
import NIOCore
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
        let head = try Self.wait(seconds: options.openTimeout, url, "cannot open the file") { try await request.run(Self.client, seconds: options.openTimeout) }
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
        let (seconds, inFlight) = (options.readTimeout, max(1, options.requestsInFlight))
        let buffers = try Self.wait(seconds: seconds, url, "cannot read") {
            try await withThrowingTaskGroup(of: (Int, AlignedBuffer).self) { group in
                var buffers = [AlignedBuffer?](repeating: nil, count: requests.count)
                var next = 0
                func start() {
                    guard next < requests.count else { return }
                    let (index, request) = (next, requests[next])
                    next += 1
                    group.addTask { (index, try await request.run(Self.client, seconds: seconds).buffer) }
                }
                for _ in 0..<inFlight { start() }
                while let (index, buffer) = try await group.next() {
                    buffers[index] = buffer
                    start()
                }
                return buffers.map { $0! }
            }
        }
        let slices = ranges.indices.map { index in
            let home = plan.home[index]
            return UnsafeRawBufferPointer(start: buffers[home].pointer + (ranges[index].offset - plan.merged[home].offset), count: ranges[index].length)
        }
        return FetchedRanges(slices: slices, transferred: plan.merged.reduce(0) { $0 + $1.length }, owners: buffers)
    }

    /// Runs `body` from a worker's own thread and waits for it, not longer than `seconds` and a little.
    ///
    /// What is abandoned is cancelled; it owns its buffers, so that an answer that comes late harms nobody.
    private static func wait<T: Sendable>(
        seconds: Int, _ url: String, _ what: String, _ body: @escaping @Sendable () async throws -> T
    ) throws(FormatError) -> T {
        let outcome = Outcome<T>()
        let done = DispatchSemaphore(value: 0)
        let task = Task {
            do {
                let value = try await body()
                outcome.result.withLock { $0 = .success(value) }
            } catch { outcome.result.withLock { $0 = .failure(failure(error, url, what)) } }
            done.signal()
        }
        guard done.wait(timeout: .now() + .seconds(seconds + 2)) == .success, let result = outcome.result.withLock({ $0 }) else {
            task.cancel()
            throw FormatError(.deadline, "\(what): the site \(StorageURL(url).site) did not answer in \(seconds) s", file: url)
        }
        return try result.get()
    }

    private final class Outcome<T: Sendable>: Sendable {
        let result = Mutex<Result<T, FormatError>?>(nil)
    }

    private static func failure(_ error: any Error, _ url: String, _ what: String) -> FormatError {
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

/// One request for one range; it owns the bytes.
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

    func run(_ client: HTTPClient, seconds: Int) async throws -> Answer {
        var request = HTTPClientRequest(url: url)
        request.headers.add(name: "Range", value: "bytes=\(range.offset)-\(range.end - 1)")
        // Where the content is another by now, the server says so instead of sending it.
        if let tag { request.headers.add(name: "If-Match", value: tag) }
        let response = try await client.execute(request, deadline: .now() + .seconds(Int64(seconds)))
        try checkStatus(response.status.code)
        let total = try totalSize(response.headers.first(name: "Content-Range"))
        let found = response.headers.first(name: "ETag").flatMap { $0.hasPrefix("W/") ? nil : $0 }
        if let size, size != total { throw changed("\(size) bytes", "\(total)") }
        if let tag, let found, tag != found { throw changed(tag, found) }
        let length = min(range.length, total - range.offset)
        let buffer = AlignedBuffer(capacity: length)
        var filled = 0
        for try await part in response.body {
            let bytes = part.readableBytesView
            guard bytes.count <= length - filled else {
                throw FormatError(.badLength, "the site sent more than was asked for", offset: range.offset, expected: "\(length) bytes")
            }
            bytes.withUnsafeBytes { (buffer.pointer + filled).copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(buffer.pointer), byteCount: $0.count) }
            filled += bytes.count
        }
        guard filled == length else {
            throw FormatError(.truncated, "the site sent less than was asked for", offset: range.offset, expected: "\(length) bytes", found: "\(filled)")
        }
        return Answer(buffer: buffer, size: total, tag: found)
    }

    private func checkStatus(_ status: UInt) throws(FormatError) {
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
    private func totalSize(_ header: String?) throws(FormatError) -> Int {
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
