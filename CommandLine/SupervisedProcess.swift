import Cluster
import Foundation

// SAFETY: `up` awaits its supervisor's start, run and stop one after another, and each calls the children from one
// task, so no two calls meet.
/// A child process that is started again when it dies: later each time, by itself, whatever the others do.
final class SupervisedProcess: @unchecked Sendable {
    private enum State {
        case running(ChildProcess, since: Double)
        /// To be started again at that time.
        case waiting(until: Double)
        case over
    }

    private let name: String
    private let arguments: [String]
    private let log: String
    private let program = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().path
    private var state = State.over
    private var delay = RestartDelay()
    /// The log's bytes before the newest start.
    private var logStart: UInt64 = 0
    /// The last lines of the log that a message shows, and the bytes that they may have.
    private static let lines = 3
    private static let lineBytes: UInt64 = 2000

    init(_ name: String, _ arguments: [String], _ state: String) {
        (self.name, self.arguments, log) = (name, arguments, "\(state)/\(name).log")
    }

    private static var now: Double { ProcessInfo.processInfo.systemUptime }

    var isRunning: Bool { if case .running = state { true } else { false } }

    /// - Throws: `CocoaError` where it cannot be started.
    func start() throws {
        logStart = (try? FileManager.default.attributesOfItem(atPath: log)[.size] as? UInt64) ?? 0
        // The coordinator of `up` is without TLS, whatever the user's other coordinators are.
        let environment = ProcessInfo.processInfo.environment.filter { $0.key != "BEAMLINE_TLS_AUTHORITY" }
        state = .running(
            try ChildProcess(program: program, arguments: arguments, environment: environment, log: log),
            since: Self.now)
    }

    /// Notices its death, and starts it again when it is time.
    func superviseOnce() {
        switch state {
        case .over: return
        case .waiting(let until):
            guard Self.now >= until else { return }
            do { try start() } catch {
                let seconds = delay.died(lived: 0)
                printError("\(name) cannot be started: \(error); trying again in \(Self.text(seconds)) s")
                state = .waiting(until: Self.now + seconds)
            }
        case .running(let process, let since):
            guard let end = process.end() else { return }
            // A drained worker has ended by itself, and is to stay away.
            if end == .exit(WorkerCommand.drainedUnderUp) {
                state = .over
                print("\(name) has ended")
                return
            }
            let lived = Self.now - since
            let seconds = delay.died(lived: lived)
            state = .waiting(until: Self.now + seconds)
            printError(message(end, lived: lived, seconds: seconds))
        }
    }

    private func message(_ end: ChildProcess.End, lived: Double, seconds: Double) -> String {
        let what =
            switch end {
            case .exit(let code): "exit \(code)"
            case .signal(let number): "signal \(number)"
            }
        let times = delay.deaths > 1 ? ", death \(delay.deaths) in a row" : ""
        return """
            \(name) died (\(what)) after \(Self.text(lived)) s\(times); starting it again in \(Self.text(seconds)) s. \
            Its log, \(log), ends:
            """ + lastLines().map { "\n  | " + $0 }.joined()
    }

    private static func text(_ seconds: Double) -> String {
        seconds.formatted(.number.precision(.fractionLength(0...1)))
    }

    /// The last lines since its start, without characters that a terminal would act on.
    private func lastLines() -> [String] {
        guard let handle = FileHandle(forReadingAtPath: log) else { return [] }
        defer { try? handle.close() }
        let size = (try? handle.seekToEnd()) ?? 0
        let start = max(min(logStart, size), size - min(size, Self.lineBytes))
        guard (try? handle.seek(toOffset: start)) != nil, let bytes = try? handle.readToEnd() else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").suffix(Self.lines).map { line in
            String(String.UnicodeScalarView(line.unicodeScalars.filter { $0.properties.generalCategory != .control }))
        }
    }

    /// Asks it to end.
    func terminate() { if case .running(let process, _) = state { process.terminate() } }

    /// Ends it at once, with its descendants.
    func kill() { if case .running(let process, _) = state { process.killAll() } }

    /// Notices its end without starting it again.
    func noteEnd() {
        switch state {
        case .running(let process, _): if process.end() != nil { state = .over }
        case .waiting: state = .over
        case .over: break
        }
    }
}
