import AsyncHTTPClient
import Bytes
import Cluster
import NIOCore
import NIOHTTP1
import Synchronization

/// The bytes of an answer, and the offsets in them at which the ranges asked for begin.
struct RangeAnswer: Sendable {
    let buffer: AlignedBuffer
    let offsets: [Int]
    let size: Int
    let tag: String?
}

/// One request for one or several ranges.
struct RangeRequest: Sendable {
    let url: String
    let ranges: [ByteRange]
    /// Size and tag of the file in an earlier answer: a later one must agree.
    let size: Int?
    let tag: String?

    var bytes: Int { ranges.reduce(0) { $0 + $1.length } }

    var header: String { "bytes=" + ranges.map { "\($0.offset)-\($0.end - 1)" }.joined(separator: ",") }

    /// Compares an answer with an earlier one.
    func checkSame(_ total: Int, _ found: String?) throws(InputError) {
        if let size, size != total { throw changed("\(size) bytes", "\(total)") }
        if let tag, let found, tag != found { throw changed(tag, found) }
    }

    func checkStatus(_ status: UInt) throws(InputError) {
        let site = StorageURL(url).endpoint
        switch status {
        case 206: return
        case 200:
            throw InputError(
                .unsupported, "the site \(site) does not give parts of a file", expected: "HTTP status 206",
                found: "200",
                hint: "Read the file by root://, or copy it.")
        case 416 where ranges.count > 1: throw several("status 416")
        case 401, 403: throw InputError(.refused, "the site \(site) denied access (HTTP status \(status))")
        case 404, 410: throw InputError(.missing, "the site \(site) has no such file (HTTP status \(status))")
        case 412: throw changed(tag ?? "", "another")
        default: throw InputError(.faulty, "the site \(site) answers with an error (HTTP status \(status))")
        }
    }

    func several(_ found: String) -> InputError {
        InputError(
            .unsupported, "the site does not give several ranges in one answer", expected: "multipart/byteranges",
            found: found)
    }

    private func changed(_ expected: String, _ found: String) -> InputError {
        InputError(.changed, "the file changed since it was opened", expected: expected, found: found)
    }

    /// `bytes FIRST-LAST/TOTAL`.
    struct ContentRange {
        var range: ByteRange
        var total: Int

        init?(_ text: some StringProtocol) {
            let parts = text.dropFirst("bytes ".count).split(separator: "/")
            let ends = parts.first?.split(separator: "-") ?? []
            guard text.hasPrefix("bytes "), parts.count == 2, ends.count == 2, let first = Int(ends[0]),
                let last = Int(ends[1]),
                let total = Int(parts[1]), first >= 0, last >= first, total > last
            else { return nil }
            range = ByteRange(offset: first, length: last - first + 1)
            self.total = total
        }
    }

    /// The answer's one range must be the one that was asked for, cut at the file's end.
    func checkSingle(_ header: String?) throws(InputError) -> Int {
        let asked = ranges[0]
        guard let found = header.flatMap({ ContentRange($0) }), found.range.offset == asked.offset,
            found.range.end == min(asked.end, found.total)
        else {
            throw InputError(
                .faulty, "the site answers for another range than was asked for",
                expected: "bytes \(asked.offset)-\(asked.end - 1)/SIZE",
                found: header ?? "none")
        }
        return found.total
    }
}

/// Takes in one answer: its head is checked before any byte of it is kept.
final class RangeReceiver: HTTPClientResponseDelegate, Sendable {
    typealias Response = RangeAnswer

    private struct Progress {
        var size: Int?
        var tag: String?
        /// Of an answer in parts.
        var boundary: String?
        var buffer: AlignedBuffer?
        /// What the body has, or at most has where it is in parts.
        var length = 0
        var filled = 0
    }

    private let request: RangeRequest
    private let progress = Mutex(Progress())

    init(_ request: RangeRequest) { self.request = request }

    func didReceiveHead(task: HTTPClient.Task<Response>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
        do {
            try request.checkStatus(UInt(head.status.code))
            let tag = head.headers.first(name: "ETag").flatMap { $0.hasPrefix("W/") ? nil : $0 }
            let type = head.headers.first(name: "Content-Type") ?? ""
            var next = Progress(tag: tag)
            if request.ranges.count > 1 {
                guard let boundary = Self.boundary(type) else { throw request.several(type) }
                next.boundary = boundary
                // Parts have heads of their own.
                next.length = request.bytes + 1024 * (request.ranges.count + 1)
                if let size = request.size { try request.checkSame(size, tag) }
            } else {
                let total = try request.checkSingle(head.headers.first(name: "Content-Range"))
                try request.checkSame(total, tag)
                next.size = total
                next.length = min(request.ranges[0].length, total - request.ranges[0].offset)
            }
            next.buffer = AlignedBuffer(capacity: next.length)
            progress.withLock { $0 = next }
            return task.eventLoop.makeSucceededVoidFuture()
        } catch { return task.eventLoop.makeFailedFuture(error) }
    }

    private static func boundary(_ type: String) -> String? {
        guard type.lowercased().hasPrefix("multipart/byteranges"), let mark = type.firstRange(of: "boundary=") else {
            return nil
        }
        let text = type[mark.upperBound...].prefix { $0 != ";" && $0 != " " }
        let bare = text.hasPrefix("\"") ? text.dropFirst().prefix { $0 != "\"" } : text
        return bare.isEmpty || bare.utf8.count > 200 ? nil : String(bare)
    }

    func didReceiveBodyPart(task: HTTPClient.Task<Response>, _ part: ByteBuffer) -> EventLoopFuture<Void> {
        let fits = progress.withLock { progress in
            guard let buffer = progress.buffer, part.readableBytes <= progress.length - progress.filled else {
                return false
            }
            part.withUnsafeReadableBytes { bytes in
                if let base = bytes.baseAddress {
                    (buffer.pointer + progress.filled).copyMemory(from: base, byteCount: bytes.count)
                }
            }
            progress.filled += part.readableBytes
            return true
        }
        guard !fits else { return task.eventLoop.makeSucceededVoidFuture() }
        return task.eventLoop.makeFailedFuture(
            InputError(
                .faulty, "the site sent more than was asked for", offset: request.ranges[0].offset,
                expected: "\(request.bytes) bytes"))
    }

    func didFinishRequest(task: HTTPClient.Task<Response>) throws -> Response {
        let progress = progress.withLock { $0 }
        guard let buffer = progress.buffer else { throw shortened(0, request.bytes) }
        if let boundary = progress.boundary {
            let bytes = UnsafeRawBufferPointer(start: buffer.pointer, count: progress.filled)
            return Response(
                buffer: buffer, offsets: try Multipart(bytes, boundary: boundary).offsets(request),
                size: request.size ?? 0, tag: progress.tag)
        }
        guard progress.filled == progress.length else { throw shortened(progress.filled, progress.length) }
        return Response(buffer: buffer, offsets: [0], size: progress.size ?? 0, tag: progress.tag)
    }

    private func shortened(_ found: Int, _ expected: Int) -> InputError {
        InputError(
            .faulty, "the site sent less than was asked for", offset: request.ranges[0].offset,
            expected: "\(expected) bytes", found: "\(found)")
    }
}

/// A body of several ranges: `multipart/byteranges` (RFC 9110, section 14.6).
private struct Multipart {
    private var parts: [(content: RequestRange, offset: Int)] = []
    private typealias RequestRange = RangeRequest.ContentRange

    init(_ bytes: UnsafeRawBufferPointer, boundary: String) throws(InputError) {
        let delimiter = Array("--\(boundary)".utf8)
        var offset = 0
        while let start = Self.find(delimiter, bytes, from: offset) {
            offset = start + delimiter.count
            if Self.has(Array("--".utf8), bytes, at: offset) { return }
            guard let end = Self.find(Array("\r\n\r\n".utf8), bytes, from: offset, within: 4096) else { break }
            let head = String(decoding: bytes[offset..<end], as: UTF8.self)
            let line = head.split(whereSeparator: \.isNewline).first { $0.lowercased().hasPrefix("content-range:") }
            guard let line, let content = RequestRange(line.dropFirst("content-range:".count).drop { $0 == " " }) else {
                break
            }
            offset = end + 4
            guard content.range.length <= bytes.count - offset else { break }
            parts.append((content, offset))
            offset += content.range.length
        }
        throw InputError(
            .faulty, "the site's answer in parts is not whole", offset: offset,
            found: "\(parts.count) parts in \(bytes.count) bytes")
    }

    /// Where each range asked for begins: servers may join ranges, and give them in any order.
    func offsets(_ request: RangeRequest) throws(InputError) -> [Int] {
        if let total = parts.first?.content.total { try request.checkSame(total, nil) }
        var offsets: [Int] = []
        for range in request.ranges {
            guard
                let part = parts.first(where: {
                    $0.content.range.offset <= range.offset && range.end <= $0.content.range.end
                })
            else {
                throw InputError(
                    .faulty, "the site left out a range that was asked for", offset: range.offset,
                    expected: "\(range.length) bytes")
            }
            offsets.append(part.offset + range.offset - part.content.range.offset)
        }
        return offsets
    }

    private static func has(_ text: [UInt8], _ bytes: UnsafeRawBufferPointer, at offset: Int) -> Bool {
        offset + text.count <= bytes.count && bytes[offset..<offset + text.count].elementsEqual(text)
    }

    private static func find(
        _ text: [UInt8], _ bytes: UnsafeRawBufferPointer, from start: Int, within limit: Int = 4096
    ) -> Int? {
        var offset = start
        while offset + text.count <= bytes.count, offset - start <= limit {
            if has(text, bytes, at: offset) { return offset }
            offset += 1
        }
        return nil
    }
}
