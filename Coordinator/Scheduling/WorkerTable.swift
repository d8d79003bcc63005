import Cluster

/// One worker's session.
///
///     joined --(a job it is to train uses other kernels)--> changing: it goes, and joins anew with them
///        |
///     joined --(drained by the user)--> draining --(nothing held, in no round)--> dismissed
///        `--(wrong too often)--> set aside: holds what it has, is lent nothing more until it joins anew
package struct WorkerEntry: Sendable, Equatable {
    package let id: Int64
    package let hello: Hello
    package var heard: Double
    package var draining = false
    package var dismissed = false
    /// The kernels with which it was told to start anew.
    package var changing: String?
    /// Why it is lent nothing more.
    package var setAside: String?
    /// Times in a row that others did what it could not.
    package var wrong = 0
    /// Times in a row that a second holder was faster.
    package var slow = 0
    /// The training round it is in, as it says itself.
    package var round: Beat.InRound?
    /// Tasks counted.
    package var counted = 0

    package init(id: Int64, hello: Hello, now: Double) {
        self.id = id
        self.hello = hello
        heard = now
    }

    /// A task of it was counted.
    mutating func succeeded() {
        counted += 1
        (wrong, slow) = (0, 0)
    }

    package var takesWork: Bool { !draining && changing == nil && setAside == nil }
    package var roomMost: Int { min(max(1, hello.threads), 1024) + min(max(0, hello.readAhead), 4096) }
}
