import AsyncHTTPClient
import Bytes
import Cluster
import NIOCore
import NIOHTTP1
import Synchronization

/// Takes in one answer: its head is checked before any byte of it is kept.
final class RangeReceiver: HTTPClientResponseDelegate, Sendable {
    typealias Response = RangeAnswer

    private struct Progress {
        var size: Int?
        var tag: String?
        /// The boundary between the parts of an answer in parts.
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
