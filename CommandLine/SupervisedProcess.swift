import Foundation

// SAFETY: `up` awaits its supervisor's start, run and stop one after another, and each calls the children from one
// task, so no two calls meet.
/// A child process that is started again when it dies, at most five times a minute.
final class SupervisedProcess: @unchecked Sendable {
    private let name: String
    private let arguments: [String]
    private let log: String
    private var process = Process()
    private var restarts: [Date] = []
    private var isOver = false

    init(_ name: String, _ arguments: [String], _ state: String) {
        (self.name, self.arguments, log) = (name, arguments, "\(state)/\(name).log")
    }

    func start() throws {
        if !FileManager.default.fileExists(atPath: log) {
            _ = FileManager.default.createFile(atPath: log, contents: nil)
        }
        guard let handle = FileHandle(forWritingAtPath: log) else { throw CocoaError(.fileWriteNoPermission) }
        handle.seekToEndOfFile()
        process = Process()
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = arguments
        // The coordinator of `up` is without TLS, whatever the user's other coordinators are.
        process.environment = ProcessInfo.processInfo.environment.filter { $0.key != "BEAMLINE_TLS_AUTHORITY" }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = handle
        process.standardError = handle
        try process.run()
    }

    /// - Returns: false where it died too often.
    func superviseOnce() -> Bool {
        guard !process.isRunning, !isOver else { return true }
        // A drained worker has ended by itself, and is to stay away.
        if process.terminationReason == .exit, process.terminationStatus == WorkerCommand.drainedUnderUp {
            isOver = true
            print("\(name) has ended")
            return true
        }
        restarts = restarts.filter { $0.timeIntervalSinceNow > -60 }
        guard restarts.count < 5 else {
            printError("\(name) died more than five times in a minute; see \(log)")
            return false
        }
        restarts.append(Date())
        let end = process.terminationReason == .uncaughtSignal ? "signal" : "exit"
        printError("\(name) died (\(end) \(process.terminationStatus)); starting it again")
        return (try? start()) != nil
    }

    func stop() {
        guard process.isRunning else { return }
        process.terminate()
        let deadline = Date().addingTimeInterval(5)
        while process.isRunning, Date() < deadline { usleep(20_000) }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }
}
