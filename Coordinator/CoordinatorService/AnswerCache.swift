import Dispatch
import Synchronization

/// Keeps costly answers for a time in proportion to what they cost, and computes each once for all who ask meanwhile:
/// however many clients poll, the computing takes no more than a fixed share of one thread.
package final class AnswerCache<Key: Hashable & Sendable, Answer: Sendable>: Sendable {
    private typealias Waiter = CheckedContinuation<Answer, any Error>

    private enum Entry {
        case computing([Waiter])
        case ready(Answer, until: Double)
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        /// Keys of ready answers, the oldest first.
        var order: [Key] = []
    }

    private let state = Mutex(State())
    private let threads: BlockingThreads
    /// Answers kept at once.
    private let maxAnswers: Int
    /// An answer that took a second to compute is given for so many seconds.
    private let factor: Double

    package init(threads: BlockingThreads, maxAnswers: Int, factor: Double) {
        self.threads = threads
        self.maxAnswers = maxAnswers
        self.factor = factor
    }

    private static func now() -> Double { Double(DispatchTime.now().uptimeNanoseconds) * 1e-9 }

    private enum Decision {
        case answered(Answer)
        case compute
        case wait
    }

    /// The answer for a key: one that is kept, one that is being computed already, or a new one.
    /// - Throws: what `compute` throws; failures are not kept.
    package func answer(_ key: Key, compute: @escaping @Sendable () throws -> Answer) async throws -> Answer {
        try await withCheckedThrowingContinuation { continuation in
            let decision = state.withLock { state -> Decision in
                switch state.entries[key] {
                case .ready(let answer, let until)? where Self.now() < until: return .answered(answer)
                case .computing(let waiters)?:
                    state.entries[key] = .computing(waiters + [continuation])
                    return .wait
                case .ready, nil:
                    state.order.removeAll { $0 == key }
                    state.entries[key] = .computing([continuation])
                    return .compute
                }
            }
            switch decision {
            case .answered(let answer): continuation.resume(returning: answer)
            case .wait: break
            case .compute: Task { await fill(key, compute) }
            }
        }
    }

    private func fill(_ key: Key, _ compute: @escaping @Sendable () throws -> Answer) async {
        let result: Result<(answer: Answer, seconds: Double), any Error>
        do {
            result = .success(
                try await threads.run {
                    let started = Self.now()
                    return (try compute(), Self.now() - started)
                })
        } catch { result = .failure(error) }
        let waiters = state.withLock { state -> [Waiter] in
            guard case .computing(let waiters)? = state.entries[key] else { return [] }
            switch result {
            case .failure: state.entries[key] = nil
            case .success(let (answer, seconds)):
                state.entries[key] = .ready(answer, until: Self.now() + factor * seconds)
                state.order.append(key)
                if state.order.count > maxAnswers { state.entries[state.order.removeFirst()] = nil }
            }
            return waiters
        }
        for waiter in waiters { waiter.resume(with: result.map(\.answer)) }
    }
}
