import HTTPTypes
package import Hummingbird
import NIOCore
import Synchronization

/// Receives the bodies of requests within a budget that all requests of a server share. What cannot be taken is
/// rejected from its head, before its client has sent it.
package final class BodyReader: Sendable {
    private let budget: Mutex<BodyBudget>

    package init(_ budget: BodyBudget) { self.budget = Mutex(budget) }

    /// Receives a request's body and gives it to `use`; its bytes count until `use` has returned.
    ///
    /// - Parameters:
    ///   - limit: the bytes of the body at most.
    ///   - types: the media types that it may have.
    /// - Throws: `FaceFailure`: 413 where the body is too large, 415 where it is of another type, 503 where there is no
    ///   room for it now, 400 where it broke off; and what `use` throws.
    package func withBody<Bytes: RangeReplaceableCollection<UInt8>, Value>(
        of request: Request, _ context: FaceContext, upTo limit: Int, types: [String], as _: Bytes.Type,
        _ use: (Bytes) async throws -> Value
    ) async throws -> Value {
        guard RequestPolicy.accepts(request.headers[.contentType], types) else {
            let expected = types.joined(separator: " or ")
            throw FaceFailure(
                .unsupportedMediaType,
                "the header Content-Type is \(Self.shortened(request.headers[.contentType])); expected \(expected)",
                headers: Self.closing)
        }
        let announced = request.headers[.contentLength].flatMap { Int($0) }
        guard announced ?? 0 <= limit else { throw Self.tooLarge(limit) }
        var held = 0
        defer { budget.withLock { $0.release(held) } }
        func hold(_ size: Int) throws {
            guard size > held else { return }
            guard budget.withLock({ $0.reserve(size - held, of: size) }) else { throw Self.noRoom }
            held = size
        }
        try hold(announced ?? 0)
        if request.headers[.expect]?.lowercased() == "100-continue" {
            context.channel.triggerUserOutboundEvent(ContinueEvent(), promise: nil)
        }
        var bytes = Bytes()
        var count = 0
        for try await part in request.body {
            count += part.readableBytes
            guard count <= limit else { throw Self.tooLarge(limit) }
            // Of a body without an announced length a stretch at a time.
            if count > held { try hold(min(limit, max(count, held + (64 << 10)))) }
            bytes.append(contentsOf: part.readableBytesView)
        }
        guard count == announced ?? count else {
            throw FaceFailure(.badRequest, "the body broke off", headers: Self.closing)
        }
        return try await use(bytes)
    }

    /// The rest of the body is not waited for.
    private static let closing: HTTPFields = [.connection: "close"]

    private static func tooLarge(_ limit: Int) -> FaceFailure {
        FaceFailure(.contentTooLarge, "the body is too large; expected at most \(limit) bytes", headers: closing)
    }

    private static var noRoom: FaceFailure {
        FaceFailure(
            .serviceUnavailable, "the server is receiving as much as it can; try again later",
            headers: [.retryAfter: "1", .connection: "close"])
    }

    private static func shortened(_ value: String?) -> String { String((value ?? "").prefix(100)).debugDescription }
}
