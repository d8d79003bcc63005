import Dispatch
package import Storage
import Synchronization

/// What a worker's reading shares: the sites, the open files, memory for what has been asked for, and the cores to
/// decode with.
///
/// Reading is done by more threads than there are cores: while some decode, the others' bytes are on their way.
package final class ReadResources: Sendable {
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
