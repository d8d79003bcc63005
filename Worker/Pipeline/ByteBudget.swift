import Dispatch
import Synchronization

/// A number of bytes that may be held at once; requests for more wait, and are granted in the order in which they came.
final class ByteBudget: Sendable {
    private struct State {
        var held = 0
        var waiters: [(bytes: Int, wake: DispatchSemaphore)] = []
    }

    private let state = Mutex(State())
    private let limit: Int

    init(_ limit: Int) { self.limit = max(1, limit) }

    func take(_ bytes: Int) {
        let wake: DispatchSemaphore? = state.withLock { state in
            if state.waiters.isEmpty, state.held == 0 || state.held + bytes <= limit {
                state.held += bytes
                return nil
            }
            let wake = DispatchSemaphore(value: 0)
            state.waiters.append((bytes, wake))
            return wake
        }
        wake?.wait()
    }

    func give(_ bytes: Int) {
        let woken = state.withLock { state in
            state.held -= bytes
            var woken: [DispatchSemaphore] = []
            while let next = state.waiters.first, state.held == 0 || state.held + next.bytes <= limit {
                state.held += next.bytes
                woken.append(next.wake)
                state.waiters.removeFirst()
            }
            return woken
        }
        woken.forEach { $0.signal() }
    }
}
