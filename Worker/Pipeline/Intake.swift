import Dispatch
import Storage
import Synchronization

/// What a worker's reading shares: the sites, the open files, memory for what has been asked for, and the cores to
/// decode with.
///
/// Reading is done by more threads than there are cores: while some decode, the others' bytes are on their way.
package final class Intake: Sendable {
    package let board: SiteBoard
    package let files: OpenFiles
    private let cores: DispatchSemaphore
    private let memory: ByteBudget

    /// - Parameters:
    ///   - threads: how many decode at once.
    ///   - memoryBytes: stored bytes held together, on their way or waiting for a core; one read alone may be larger.
    package init(_ board: SiteBoard = .init(), threads: Int, memoryBytes: Int = 1 << 30) {
        self.board = board
        files = OpenFiles(board)
        cores = DispatchSemaphore(value: max(1, threads))
        memory = ByteBudget(memoryBytes)
    }

    func computing<T, E: Error>(_ body: () throws(E) -> T) throws(E) -> T {
        cores.wait()
        defer { cores.signal() }
        return try body()
    }

    func holding<T, E: Error>(_ bytes: Int, _ body: () throws(E) -> T) throws(E) -> T {
        memory.take(bytes)
        defer { memory.give(bytes) }
        return try body()
    }
}

/// Bytes that may be held at once. Who asks for more than there is waits; whoever comes first is first.
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
