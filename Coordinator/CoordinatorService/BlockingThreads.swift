import Bytes
import Foundation

/// Threads of their own for calls that block, on SQLite or on the disk, and for long computations: neither the
/// scheduling thread nor the cooperative pool waits for them.
package final class BlockingThreads: Sendable {
    // SAFETY: `waiting` and `isClosed` are read and written only while `condition` is locked.
    private final class Queue: @unchecked Sendable {
        let condition = NSCondition()
        var waiting: [@Sendable () -> Void] = []
        var isClosed = false

        /// Runs what comes, in order of arrival, until the queue is closed.
        func serve() {
            while true {
                condition.lock()
                while waiting.isEmpty, !isClosed { condition.wait() }
                guard !waiting.isEmpty else { return condition.unlock() }
                let work = waiting.removeFirst()
                condition.unlock()
                work()
            }
        }
    }

    private let queue = Queue()
    /// Calls that may wait for a thread at once; one more is rejected.
    private let maxWaiting: Int

    /// - Parameters:
    ///   - count: the number of threads, at least 1.
    ///   - niceness: how much the threads yield to the process's other threads, 0 (not at all) to 19.
    ///   - maxWaiting: how many calls may wait for a thread.
    package init(_ count: Int, niceness: Int32 = 0, maxWaiting: Int = 10_000) {
        self.maxWaiting = maxWaiting
        let queue = queue
        for _ in 0..<max(1, count) {
            let thread = Thread {
                // On Linux this is the calling thread's own niceness.
                if niceness > 0 { setpriority(Int32(PRIO_PROCESS.rawValue), 0, niceness) }
                queue.serve()
            }
            thread.stackSize = 4 << 20
            thread.start()
        }
    }

    deinit {
        queue.condition.withLock {
            queue.isClosed = true
            queue.condition.broadcast()
        }
    }

    /// Runs `body` on one of the threads.
    /// - Throws: what `body` throws; `InputError` with the code `denied` where too many calls wait already.
    package func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let isAccepted = queue.condition.withLock {
                guard queue.waiting.count < maxWaiting else { return false }
                queue.waiting.append { continuation.resume(with: Result { try body() }) }
                queue.condition.signal()
                return true
            }
            if !isAccepted {
                continuation.resume(
                    throwing: InputError(
                        .denied, "the coordinator is answering as many requests as it can",
                        expected: "at most \(maxWaiting) requests that wait", hint: "Ask again later."))
            }
        }
    }
}
