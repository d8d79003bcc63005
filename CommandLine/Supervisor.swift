import ArgumentParser
import Foundation
import ServiceLifecycle

/// Keeps child processes running, as a service.
struct Supervisor: Service {
    private let children: [SupervisedProcess]

    init(_ children: [SupervisedProcess]) { self.children = children }

    func start() throws { for child in children { try child.start() } }

    /// Ends the children, the last that was started first.
    func stop() { for child in children.reversed() { child.stop() } }

    /// - Throws: `ExitStatus.refused` where a child died too often.
    func run() async throws {
        let children = children
        do {
            try await cancelWhenGracefulShutdown {
                while true {
                    for child in children where !child.superviseOnce() { throw ExitStatus.refused }
                    try await Task.sleep(for: .milliseconds(200))
                }
            }
        } catch is CancellationError {}
    }
}

/// A child process that is started again when it dies, at most five times a minute.
final class SupervisedProcess: @unchecked Sendable {
    // SAFETY: only the supervisor calls it, one call after another: start, then superviseOnce until its end, then stop.
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
        if !FileManager.default.fileExists(atPath: log) { FileManager.default.createFile(atPath: log, contents: nil) }
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
        printError(
            "\(name) died (\(process.terminationReason == .uncaughtSignal ? "signal" : "exit") \(process.terminationStatus)); starting it again"
        )
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
