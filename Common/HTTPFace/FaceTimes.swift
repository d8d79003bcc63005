package import NIOCore

/// How long a server waits for its clients.
package struct FaceTimes: Sendable {
    /// For a request's head, from the connection's beginning or from the answer before it: also the time for which an
    /// idle connection is kept.
    package var idle = TimeAmount.seconds(60)
    /// For a request's body, beside the time that its bytes may take.
    package var body = TimeAmount.seconds(30)
    /// The bytes of a body that must arrive in each second of its further time, on average.
    package var bodyRate = 256 << 10
    /// For a client that takes nothing of an answer.
    package var answer = TimeAmount.seconds(60)
    /// For a client that goes on sending when its request was answered, and its connection is to be closed.
    package var linger = TimeAmount.seconds(5)

    /// The usual times.
    package init() {}
}
