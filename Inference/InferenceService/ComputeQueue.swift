import DequeModule
import Dispatch
import Synchronization

/// Runs computations on a bounded number of threads that are not of the cooperative pool. How many may wait is
/// bounded by whoever lets requests in.
final class ComputeQueue: Sendable {
    private struct State {
        var running = 0
        var waiting: Deque<@Sendable () -> Void> = []
    }

    private let state = Mutex(State())
    private let threads: Int
    private let queue = DispatchQueue(label: "beamline.inference.compute", attributes: .concurrent)

    /// - Parameter threads: computations at once, at least 1.
    init(threads: Int) { self.threads = max(1, threads) }

    /// Waits for a thread and gives the result of `body`.
    func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
        await withCheckedContinuation { continuation in
            add { continuation.resume(returning: body()) }
        }
    }

    private func add(_ work: @escaping @Sendable () -> Void) {
        let isStarted = state.withLock { state in
            guard state.running < threads else {
                state.waiting.append(work)
                return false
            }
            state.running += 1
            return true
        }
        if isStarted { queue.async { self.drain(work) } }
    }

    /// Computes `work`, then whatever waits.
    private func drain(_ work: @escaping @Sendable () -> Void) {
        var next: (@Sendable () -> Void)? = work
        while let work = next {
            work()
            next = state.withLock { state in
                let waiting = state.waiting.popFirst()
                if waiting == nil { state.running -= 1 }
                return waiting
            }
        }
    }
}
