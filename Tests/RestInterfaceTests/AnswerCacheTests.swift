import Bytes
import CoordinatorService
import Dispatch
import Synchronization
import Testing

@Suite struct AnswerCacheTests {
    private final class Count: Sendable {
        private let value = Mutex(0)
        func next() -> Int {
            value.withLock {
                $0 += 1
                return $0
            }
        }
        var current: Int { value.withLock { $0 } }
    }

    /// However many ask at once, one computation answers all; another key has its own.
    @Test func oneComputationAnswersAll() async throws {
        let cache = AnswerCache<String, Int>(threads: BlockingThreads(4), maxAnswers: 8, factor: 1e12)
        let count = Count()
        let answers = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<200 { group.addTask { try await cache.answer("a") { count.next() } } }
            return try await group.reduce(into: Set<Int>()) { $0.insert($1) }
        }
        #expect(answers == [1] && count.current == 1)
        #expect(try await cache.answer("b") { count.next() } == 2)
        #expect(try await cache.answer("a") { count.next() } == 1)
    }

    /// With a factor of 0 nothing is kept once it is answered.
    @Test func whatIsTooOldIsComputedAgain() async throws {
        let cache = AnswerCache<String, Int>(threads: BlockingThreads(1), maxAnswers: 8, factor: 0)
        let count = Count()
        #expect(try await cache.answer("a") { count.next() } == 1)
        #expect(try await cache.answer("a") { count.next() } == 2)
    }

    @Test func failuresAreNotKept() async throws {
        let cache = AnswerCache<String, Int>(threads: BlockingThreads(1), maxAnswers: 8, factor: 1e12)
        await #expect(throws: InputError.self) {
            try await cache.answer("a") { throw InputError(.input, "no") }
        }
        #expect(try await cache.answer("a") { 5 } == 5)
    }

    @Test func noMoreThanTheNewestAnswersAreKept() async throws {
        let cache = AnswerCache<Int, Int>(threads: BlockingThreads(1), maxAnswers: 3, factor: 1e12)
        let count = Count()
        for key in 0..<5 { _ = try await cache.answer(key) { count.next() } }
        // The newest three are there, the oldest is not.
        for key in 2..<5 { #expect(try await cache.answer(key) { count.next() } == key + 1) }
        #expect(try await cache.answer(0) { count.next() } == 6)
    }

    /// More calls than may wait are rejected at once, and those that were accepted are answered.
    @Test func waitingIsBounded() async throws {
        let threads = BlockingThreads(1, maxWaiting: 2)
        let gate = DispatchSemaphore(value: 0)
        let (started, signal) = AsyncStream.makeStream(of: Void.self)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            // The one thread is taken until the gate opens.
            group.addTask {
                try await threads.run {
                    signal.yield()
                    gate.wait()
                    return true
                }
            }
            for await _ in started { break }
            for _ in 0..<10 {
                group.addTask { do { return try await threads.run { true } } catch { return false } }
            }
            for _ in 0..<8 {
                let isAccepted = try await group.next()
                #expect(isAccepted == false)
            }
            gate.signal()
            for _ in 0..<3 {
                let isAccepted = try await group.next()
                #expect(isAccepted == true)
            }
        }
    }
}
