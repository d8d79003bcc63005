import Collectives
import Foundation
import Synchronization
import Testing

@Suite(.serialized) struct ProcessGroupTests {
    private func ranks(_ count: Int, _ body: @escaping @Sendable (Int, any Rendezvous) throws -> Void) throws {
        try Ranks.run(count, body)
    }

    @Test(arguments: [2, 3]) func eightMillionNumbersAreSummed(_ size: Int) throws {
        let count = 8_000_000
        try ranks(size) { rank, store in
            let group = try Ranks.connected(rank, of: size, store)
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
            let group = try Ranks.connected(rank, of: 3, store)
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
