package import Bytes
package import Cluster
import Dispatch
import Foundation
import Synchronization

/// Threads for calls of the local file system, which may never return: a network file system that hangs holds its
/// callers for ever, and no signal ends that. Whoever asks here waits until a deadline and no longer.
///
/// A call that is given up owns what it writes to, so that one that ends late harms nobody. Until then its thread is
/// counted as stuck; their number is bounded, and a file in which one is stuck is not asked again meanwhile.
package final class LocalThreads: Sendable {
    /// Those of the process.
    package static let shared = LocalThreads()

    /// A call that was given up and has not returned.
    private struct Stuck {
        let file: String
        let since: UInt64
    }

    private struct State {
        var work: [@Sendable () -> Void] = []
        /// Threads that wait for work and for which there is none.
        var idle = 0
        var stuck: [UInt64: Stuck] = [:]
        var nextCall: UInt64 = 0
    }

    private final class Answer<Value: Sendable>: Sendable {
        enum State: Sendable {
            case pending, abandoned
            case arrived(Value)
        }

        let state = Mutex(State.pending)
        let isThere = DispatchSemaphore(value: 0)
    }

    private let maxStuck: Int
    private let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)

    /// Its threads live as long as the process.
    /// - Parameter maxStuck: calls that may be stuck at once.
    package init(maxStuck: Int = 16) { self.maxStuck = max(1, maxStuck) }

    /// The threads that are stuck now; nil where there are none.
    package var stuck: Heartbeat.Stuck? {
        let now = DispatchTime.now().uptimeNanoseconds
        return state.withLock { state in
            guard let oldest = state.stuck.values.min(by: { $0.since < $1.since }) else { return nil }
            return Heartbeat.Stuck(
                threads: state.stuck.count, file: oldest.file.shortened(to: 1000),
                seconds: Double(now - min(now, oldest.since)) / 1e9)
        }
    }

    /// Calls `body` on a thread of its own, and waits for it.
    /// - Parameters:
    ///   - file: what it touches.
    ///   - seconds: until when it must have returned.
    ///   - body: owns all that it writes to; it may return when nobody waits any more.
    /// - Throws: `InputError` with `.deadline` where it has not returned in time, or too many before it have not.
    package func run<Value: Sendable>(
        _ file: String, seconds: Int, _ body: @escaping @Sendable () -> Value
    ) throws(InputError) -> Value {
        let answer = Answer<Value>()
        let started = DispatchTime.now().uptimeNanoseconds
        let (call, obstacle, needsThread) = state.withLock { state -> (UInt64, Stuck?, Bool) in
            let known = state.stuck.values.first { $0.file == file }
            if let known = known ?? (state.stuck.count >= maxStuck ? state.stuck.values.first : nil) {
                return (0, known, false)
            }
            let call = state.nextCall
            state.nextCall += 1
            state.work.append { [self] in finish(call, answer, body()) }
            if state.idle == 0 { return (call, nil, true) }
            state.idle -= 1
            return (call, nil, false)
        }
        if let obstacle { throw Self.error(file, obstacle, maxStuck) }
        if needsThread {
            let thread = Thread { [self] in serve() }
            thread.stackSize = 1 << 20
            thread.start()
        }
        wake.signal()
        _ = answer.isThere.wait(timeout: .now() + .seconds(seconds))
        return try answer.state.withLock { outcome throws(InputError) in
            if case .arrived(let value) = outcome { return value }
            outcome = .abandoned
            state.withLock { $0.stuck[call] = Stuck(file: file, since: started) }
            throw InputError(
                .deadline, "a file of this machine did not answer in \(seconds) s", file: file,
                hint: "A network file system that hangs does this, or a broken disk.")
        }
    }

    private static func error(_ file: String, _ stuck: Stuck, _ maxStuck: Int) -> InputError {
        let seconds = (DispatchTime.now().uptimeNanoseconds - stuck.since) / 1_000_000_000
        if stuck.file == file {
            return InputError(
                .deadline, "a file of this machine has not answered an earlier call for \(seconds) s", file: file)
        }
        return InputError(
            .deadline, "too many threads wait for files of this machine that do not answer", file: file,
            expected: "fewer than \(maxStuck)", found: "\(maxStuck), one of them in \(stuck.file) for \(seconds) s")
    }

    private func finish<Value: Sendable>(_ call: UInt64, _ answer: Answer<Value>, _ value: Value) {
        answer.state.withLock { outcome in
            if case .abandoned = outcome { return state.withLock { _ = $0.stuck.removeValue(forKey: call) } }
            outcome = .arrived(value)
        }
        answer.isThere.signal()
    }

    private func serve() {
        while true {
            wake.wait()
            let work = state.withLock { $0.work.removeFirst() }
            work()
            state.withLock { $0.idle += 1 }
        }
    }
}
