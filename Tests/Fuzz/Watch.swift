import Dispatch
import Foundation
import Synchronization

/// Ends the process when an input takes too long: a loop without end would stop the run and name nothing.
final class Watch: Sendable {
    private struct Running {
        var note = ""
        var since: UInt64 = .max
    }

    private let running: Mutex<[Running]>
    private let limit: UInt64

    init(threads: Int, seconds: Double) {
        running = Mutex(.init(repeating: Running(), count: threads))
        limit = UInt64(seconds * 1e9)
        let thread = Thread { [self] in
            while true {
                Thread.sleep(forTimeInterval: 0.5)
                check()
            }
        }
        thread.start()
    }

    func begin(_ thread: Int, _ note: String) {
        running.withLock { $0[thread] = Running(note: note, since: DispatchTime.now().uptimeNanoseconds) }
    }

    func end(_ thread: Int) { running.withLock { $0[thread].since = .max } }

    private func check() {
        let now = DispatchTime.now().uptimeNanoseconds
        let late = running.withLock { $0.first { $0.since != .max && now > $0.since && now - $0.since > limit } }
        guard let late else { return }
        FileHandle.standardError.write(
            Data("fuzz: input \(late.note) takes more than \(limit / 1_000_000_000) s\n".utf8))
        exit(3)
    }
}
