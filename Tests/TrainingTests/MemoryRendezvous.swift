import Collectives
import Foundation

/// A rendezvous in memory.
// SAFETY: everything that changes is touched only while `condition` is locked.
final class MemoryRendezvous: Rendezvous, @unchecked Sendable {
    private let condition = NSCondition()
    private var values: [String: [UInt8]] = [:]
    private var isStopped = false

    /// A member has left: nobody waits for it.
    func stop() {
        condition.withLock {
            isStopped = true
            condition.broadcast()
        }
    }

    func set(_ key: String, _ value: [UInt8]) {
        condition.withLock {
            values[key] = value
            condition.broadcast()
        }
    }

    func wait(_ key: String) -> [UInt8]? {
        condition.withLock {
            let deadline = Date().addingTimeInterval(20)
            while Date() < deadline, !isStopped {
                if let value = values[key] { return value }
                _ = condition.wait(until: deadline)
            }
            return nil
        }
    }
}
