package import NIOCore

/// How far a connection's requests are, and until when the rest of a body is waited for. Pure.
package struct RequestProgress: Sendable {
    /// Requests whose answer is not complete.
    package private(set) var unanswered = 0
    /// Whether the head of an answer was sent, and not yet its end.
    package private(set) var isAnswering = false
    /// The body that is being received: since when its client is waited for, and what came of it.
    private var body: (since: NIODeadline, bytes: Int)?

    /// The state of a new connection.
    package init() {}

    /// Whether nothing is under way: no request, no rest of one.
    package var isIdle: Bool { unanswered == 0 && body == nil }

    /// A request's head has arrived.
    package mutating func head(at now: NIODeadline) {
        unanswered += 1
        body = (now, 0)
    }

    /// A part of a body has arrived.
    package mutating func received(_ bytes: Int) { body?.bytes += bytes }

    /// A request has arrived as a whole.
    package mutating func end() { body = nil }

    /// An answer begins.
    package mutating func answerBegins() { isAnswering = true }

    /// An answer is sent. What comes of the next body is waited for from now on: until now nobody read it.
    package mutating func answered(at now: NIODeadline) {
        isAnswering = false
        unanswered -= 1
        body?.since = now
    }

    /// When the body that is being received is overdue; nil where none is, or where the request before it is still
    /// being answered.
    package func deadline(_ times: FaceTimes) -> NIODeadline? {
        guard let body, unanswered <= 1 else { return nil }
        let seconds = Double(body.bytes) / Double(max(1, times.bodyRate))
        return body.since + times.body + .nanoseconds(Int64(seconds * 1e9))
    }
}
