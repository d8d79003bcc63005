import Collectives
import Dispatch
import Foundation
import Synchronization
import Testing

@Suite(.serialized) struct ProcessGroupTests {
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
    private func ranks(_ count: Int, _ body: @escaping @Sendable (Int, any Rendezvous) throws -> Void) throws {
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

    @Test(arguments: [2, 3]) func eightMillionNumbersAreSummed(_ size: Int) throws {
        let count = 8_000_000
        try ranks(size) { rank, store in
            let group = try ProcessGroup(rank: rank, size: size, host: "127.0.0.1", timeout: 60, rendezvous: store)
            let buffer = try group.allReduceBuffer(count: count)
            for index in 0..<count { buffer.values[index] = Int64(index) * Int64(rank + 1) }
            try buffer.sum()
            let factor = Int64(size * (size + 1) / 2)
            var wrong = 0
            for index in 0..<count where buffer.values[index] != Int64(index) * factor { wrong += 1 }
            #expect(wrong == 0)
        }
    }

    @Test func aLostMemberIsAnError() throws {
        let errors = Mutex(0)
        try ranks(3) { rank, store in
            let group = try ProcessGroup(rank: rank, size: 3, host: "127.0.0.1", timeout: 20, rendezvous: store)
            let buffer = try group.allReduceBuffer(count: 2000)
            try buffer.sum()
            if rank == 2 { return }
            do {
                while true { try buffer.sum() }
            } catch { errors.withLock { $0 += 1 } }
        }
        #expect(errors.withLock { $0 } == 2)
    }
}
