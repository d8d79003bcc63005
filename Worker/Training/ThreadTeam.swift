import Dispatch
import Foundation
import Synchronization

/// Threads that work on one thing at a time, again and again: a training step takes less time than it takes the system
/// to wake a thread, so that for a while after each piece of work they look for the next one without sleeping.
// SAFETY: `body` is written by the one caller of `run` before it raises `generation`, and read by the threads after
// they have seen it raised; the caller waits for all of them before it writes again.
final class ThreadTeam: @unchecked Sendable {
    /// What the threads share.
    // SAFETY: as the team's: `body` is its only variable that is not atomic.
    private final class Shared: @unchecked Sendable {
        /// Raised with each piece of work.
        let generation = Atomic<Int>(0)
        /// Threads that have not finished the current piece of work.
        let busy = Atomic<Int>(0)
        let isStopped = Atomic<Bool>(false)
        var body: @Sendable (Int) -> Void = { _ in }
        let finished = Sleeper()
        let sleepers: [Sleeper]

        init(threads: Int) { sleepers = (0..<threads).map { _ in Sleeper() } }
    }

    /// Waits for something: first by looking, then asleep.
    private final class Sleeper: Sendable {
        private let isAsleep = Atomic<Bool>(false)
        private let semaphore = DispatchSemaphore(value: 0)
        /// Looks of about a nanosecond each: some tens of microseconds.
        private static let looks = 20_000

        func wait(until condition: () -> Bool) {
            for _ in 0..<Self.looks where condition() { return }
            while !condition() {
                isAsleep.store(true, ordering: .sequentiallyConsistent)
                if condition(), isAsleep.exchange(false, ordering: .sequentiallyConsistent) { return }
                semaphore.wait()
            }
        }

        /// Called after the condition has become true.
        func wake() {
            if isAsleep.exchange(false, ordering: .sequentiallyConsistent) { semaphore.signal() }
        }
    }

    /// How many work at once, the caller included.
    let count: Int
    private let shared: Shared

    /// Starts the threads.
    ///
    /// - Parameter count: how many work at once, the caller included; at least 1.
    init(count: Int) {
        self.count = count
        let shared = Shared(threads: count - 1)
        self.shared = shared
        for index in 1..<max(1, count) {
            let thread = Thread { Self.work(index, shared) }
            thread.stackSize = 8 << 20
            thread.name = "training \(index)"
            thread.start()
        }
    }

    deinit {
        shared.isStopped.store(true, ordering: .sequentiallyConsistent)
        shared.generation.add(1, ordering: .sequentiallyConsistent)
        for sleeper in shared.sleepers { sleeper.wake() }
    }

    private static func work(_ index: Int, _ shared: Shared) {
        var seen = 0
        while true {
            shared.sleepers[index - 1].wait {
                shared.generation.load(ordering: .sequentiallyConsistent) != seen
            }
            seen = shared.generation.load(ordering: .sequentiallyConsistent)
            if shared.isStopped.load(ordering: .sequentiallyConsistent) { return }
            shared.body(index)
            if shared.busy.subtract(1, ordering: .sequentiallyConsistent).newValue == 0 { shared.finished.wake() }
        }
    }

    /// Calls `body` with 0..<count at once, 0 on the calling thread, and returns when all are done.
    func run(_ body: @escaping @Sendable (Int) -> Void) {
        guard count > 1 else { return body(0) }
        shared.body = body
        shared.busy.store(count - 1, ordering: .sequentiallyConsistent)
        shared.generation.add(1, ordering: .sequentiallyConsistent)
        for sleeper in shared.sleepers { sleeper.wake() }
        body(0)
        shared.finished.wait { shared.busy.load(ordering: .sequentiallyConsistent) == 0 }
        // Nothing that the work refers to is kept.
        shared.body = { _ in }
    }
}
