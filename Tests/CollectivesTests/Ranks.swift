import Collectives
import Dispatch
import Foundation
import Synchronization

/// Members of one round as threads of this process.
enum Ranks {
    /// A rendezvous in memory.
    final class Store: Rendezvous {
        private let condition = NSCondition()
        private let values = Mutex<[String: [UInt8]]>([:])
        func set(_ key: String, _ value: [UInt8]) {
            condition.lock()
            values.withLock { $0[key] = value }
            condition.broadcast()
            condition.unlock()
        }
        func wait(_ key: String) -> [UInt8]? {
            condition.lock()
            defer { condition.unlock() }
            while true {
                if let value = values.withLock({ $0[key] }) { return value }
                _ = condition.wait(until: Date().addingTimeInterval(0.5))
            }
        }
    }

    /// Runs `body` as each rank, on threads.
    static func run(_ count: Int, _ body: @escaping @Sendable (Int, any Rendezvous) throws -> Void) throws {
        let store = Store()
        let failure = Mutex<(any Error)?>(nil)
        let group = DispatchGroup()
        for rank in 0..<count {
            group.enter()
            Thread {
                do { try body(rank, store) } catch { failure.withLock { $0 = error } }
                group.leave()
            }.start()
        }
        group.wait()
        if let error = failure.withLock({ $0 }) { throw error }
    }

    /// The names of `size` members.
    static func names(_ size: Int) -> [String] { (0..<size).map { "member-\($0)" } }

    /// A member of a connected group on loopback.
    static func connected(_ rank: Int, of size: Int, _ store: any Rendezvous) throws -> ProcessGroup {
        let group = try ProcessGroup(rank: rank, names: names(size), address: "127.0.0.1", rendezvous: store)
        try group.connect()
        return group
    }
}
