import Foundation

/// Threads that may block: reading waits for sites, so there are more of them than cores. What is handed over runs in
/// order of arrival.
// SAFETY: `waiting` is read and written only while `condition` is locked, which is constant.
final class TaskThreads: @unchecked Sendable {
    private let condition = NSCondition()
    private var waiting: [@Sendable () -> Void] = []

    init(_ count: Int) {
        for _ in 0..<max(1, count) {
            let thread = Thread { [self] in serve() }
            thread.stackSize = 2 << 20
            thread.start()
        }
    }

    func run(_ work: @escaping @Sendable () -> Void) {
        condition.withLock {
            waiting.append(work)
            condition.signal()
        }
    }

    /// Runs `body` for each index, on all threads, and waits for the end.
    func forEach(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        let group = DispatchGroup()
        for index in 0..<count {
            group.enter()
            run {
                body(index)
                group.leave()
            }
        }
        group.wait()
    }

    private func serve() {
        while true {
            condition.lock()
            while waiting.isEmpty { condition.wait() }
            let work = waiting.removeFirst()
            condition.unlock()
            work()
        }
    }
}
