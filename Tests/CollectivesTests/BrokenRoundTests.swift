import Bytes
import Collectives
import Dispatch
import Foundation
import Synchronization
import Testing

/// Rounds in which a member is missing, silent or elsewhere.
@Suite(.serialized) struct BrokenRoundTests {
    /// The members of a group, connected.
    private func groups(_ size: Int) throws -> [ProcessGroup] {
        let all = Mutex<[Int: ProcessGroup]>([:])
        try Ranks.run(size) { rank, store in
            let group = try Ranks.connected(rank, of: size, store)
            all.withLock { $0[rank] = group }
        }
        let groups = all.withLock { $0 }
        return try (0..<size).map { try #require(groups[$0]) }
    }

    /// Runs `body` on a thread of its own.
    /// - Returns: waits for its end for at most `seconds`; nil where it has not come.
    private func started(_ body: @escaping @Sendable () throws(InputError) -> Void) -> (Double) -> InputError?? {
        let ended = DispatchSemaphore(value: 0)
        let error = Mutex<InputError?>(nil)
        Thread {
            do throws(InputError) { try body() } catch let failure { error.withLock { $0 = failure } }
            ended.signal()
        }.start()
        return { ended.wait(timeout: .now() + $0) == .success ? .some(error.withLock { $0 }) : nil }
    }

    @Test func anAbandonedSumReturnsAlthoughTheOtherMemberNeverTakesPart() throws {
        let groups = try groups(2)
        let buffer = try groups[0].allReduceBuffer(count: 20_000)
        let result = started { () throws(InputError) in try buffer.sum() }
        #expect(result(0.2) == nil, "nothing can have been summed")
        groups[0].abandon()
        // Far below the 30 s after which a silent member is given up.
        let error = try #require(result(10), "the sum goes on")
        #expect(error?.code == .unreachable && groups[0].lost == [])
        #expect(throws: InputError.self) { try buffer.sum() }
        #expect(throws: InputError.self) { try groups[0].allReduceBuffer(count: 20_000) }
    }

    @Test func aMemberThatIsAbandonedWhileItConnectsReturns() throws {
        let store = Ranks.Store()
        let group = try ProcessGroup(rank: 0, names: Ranks.names(2), address: "127.0.0.1", rendezvous: store)
        store.set("contact/1", Array("127.0.0.1 1 00000000000000000000000000000000".utf8))
        let result = started { () throws(InputError) in try group.connect() }
        group.abandon()
        #expect(try #require(result(3)) != nil)
    }

    @Test func theMemberThatCannotBeReachedIsNamed() throws {
        var limits = ProcessGroup.Limits()
        limits.connect = 0.5
        let store = Ranks.Store()
        // Nothing listens at port 1.
        store.set("contact/0", Array("127.0.0.1 1 00000000000000000000000000000000".utf8))
        let last = try ProcessGroup(
            rank: 1, names: ["w1", "w2"], address: "127.0.0.1", limits: limits, rendezvous: store)
        let closedPort = #expect(throws: InputError.self) { try last.connect() }
        #expect(closedPort?.message.contains("w1") == true && last.lost == [0])
        // It waits for members that never call.
        store.set("contact/1", [])
        store.set("contact/2", [])
        let first = try ProcessGroup(
            rank: 0, names: ["w1", "w2", "w3"], address: "127.0.0.1", limits: limits, rendezvous: store)
        let silent = #expect(throws: InputError.self) { try first.connect() }
        #expect(silent?.message.contains("w2, w3") == true && first.lost == [1, 2])
    }

    @Test func aSilentMemberIsNamed() throws {
        var limits = ProcessGroup.Limits()
        limits.silence = 1
        let lost = Mutex<[Int]?>(nil)
        let ended = DispatchSemaphore(value: 0)
        try Ranks.run(2) { [limits] rank, store in
            let group = try ProcessGroup(
                rank: rank, names: Ranks.names(2), address: "127.0.0.1", limits: limits, rendezvous: store)
            try group.connect()
            if rank == 1 { return ended.wait() }
            defer { ended.signal() }
            let buffer = try group.allReduceBuffer(count: 2000)
            #expect(throws: InputError.self) { try buffer.sum() }
            lost.withLock { $0 = group.lost }
        }
        #expect(lost.withLock { $0 } == [1])
    }

    @Test func brokenRoundsLeaveNothingBehind() throws {
        func count(_ directory: String) -> Int {
            (try? FileManager.default.contentsOfDirectory(atPath: directory).count) ?? -1
        }
        func breakOne(_ number: Int) throws {
            let groups = try groups(2 + number % 2)
            let buffers = try groups.map { try $0.allReduceBuffer(count: 70_000) }
            let results = buffers.dropFirst().map { buffer in started { () throws(InputError) in try buffer.sum() } }
            for group in groups { group.abandon() }
            for result in results { #expect(try #require(result(10), "the sum goes on") != nil) }
        }
        try breakOne(0)
        let descriptors = count("/proc/self/fd")
        for number in 0..<50 { try breakOne(number) }
        // Other tests of this process may open a few. A leak would be of four for each round at least.
        #expect(count("/proc/self/fd") < descriptors + 50)
        #expect(count("/proc/self/task") < 100)
    }

    @Test func anAddressIsTriedOut() throws {
        #expect(try MemberAddress.resolve("127.0.0.1") == "127.0.0.1")
        #expect(["127.0.0.1", "::1"].contains(try MemberAddress.resolve("localhost")))
        // The last is reserved for documentation: no machine has it.
        for host in ["nonexistent.invalid", "0.0.0.0", "", "203.0.113.9"] {
            let error = #expect(throws: InputError.self) { _ = try MemberAddress.resolve(host) }
            #expect(error?.code == .input && error?.found != nil && error?.hint?.contains("--host") == true)
        }
        #expect(throws: InputError.self) {
            _ = try ProcessGroup(rank: 0, names: ["a", "b"], address: "203.0.113.9", rendezvous: Ranks.Store())
        }
        #expect(throws: InputError.self) {
            _ = try ProcessGroup(rank: 2, names: ["a", "b"], address: "127.0.0.1", rendezvous: Ranks.Store())
        }
    }
}
