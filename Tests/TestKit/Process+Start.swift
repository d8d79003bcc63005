import Foundation
import Synchronization

extension Process {
    private static let launching = Mutex(())

    /// Starts the process, one at a time: Foundation notices a process's end by a descriptor that another process,
    /// started at the same moment, would share, and with it every daemon that this one leaves behind.
    package func start() throws {
        try Self.launching.withLock { _ in try run() }
    }
}
