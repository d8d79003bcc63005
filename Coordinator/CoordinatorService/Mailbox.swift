import Synchronization

/// What has come and is not handled yet. Whoever puts something into an empty box has to wake its reader; what comes
/// while the reader is busy is taken together, as one batch.
final class Mailbox<Element: Sendable>: Sendable {
    private struct State {
        var waiting: [Element] = []
        var bytes = 0
        /// The reader was woken and has not come yet.
        var isWoken = false
        var closed: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())
    /// Senders wait while so many are there, or so many bytes.
    private let limit: Int
    private let bytesLimit: Int

    init(limit: Int, bytesLimit: Int) {
        self.limit = limit
        self.bytesLimit = bytesLimit
    }

    /// - Parameter bytes: about what it takes of memory.
    /// - Returns: whether the reader must be woken.
    func put(_ element: Element, bytes: Int) -> Bool {
        state.withLock { state in
            state.waiting.append(element)
            state.bytes += bytes
            defer { state.isWoken = true }
            return !state.isWoken
        }
    }

    /// Waits while the box is full.
    func room() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.waiting.count < limit, state.bytes < bytesLimit { return true }
                state.closed.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    /// All that has come.
    func take() -> [Element] {
        let (taken, waiting) = state.withLock { state in
            defer { (state.waiting, state.bytes, state.closed, state.isWoken) = ([], 0, [], false) }
            return (state.waiting, state.closed)
        }
        for continuation in waiting { continuation.resume() }
        return taken
    }
}
