import ArgumentParser
import Foundation

struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Starts a coordinator, workers and an inference node on this machine.",
        discussion: "Example:\n  beamline up --workers 3 --state ~/beamline")

    @Option(help: "How many workers.")
    var workers = 2

    @Option(help: "The directory of all state.")
    var state = "beamline-state"

    @Option(help: "Threads of each worker.")
    var threads = 1

    @Option(help: "A directory whose files the workers may read; may be repeated.")
    var localFiles: [String] = [FileManager.default.currentDirectoryPath]

    @Option(help: "The sites file: named sites with endpoints, prefixes, limits, credentials.")
    var sites: String?

    @Option(help: "The coordinator's REST port.")
    var port = 8080

    @Option(help: "The coordinator's port for workers.")
    var workersPort = 8081

    @Option(help: "The inference node's port.")
    var inferencePort = 8083

    func validate() throws {
        guard (1...256).contains(workers) else {
            throw ValidationError("--workers: expected 1 to 256; found \(workers)")
        }
    }

    func run() async throws {
        _ = try readSites(sites)
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
        let state = URL(filePath: state).standardizedFileURL.path
        var children = [
            Child(
                "coordinator",
                [
                    "coordinator", "--state", state + "/coordinator", "--port", "\(port)", "--workers-port",
                    "\(workersPort)",
                ]
                    + (sites.map { ["--sites", $0] } ?? []), state),
            Child("inference", ["inference", "--state", state + "/models", "--port", "\(inferencePort)"], state),
        ]
        for number in 1...workers {
            children.append(
                Child(
                    "worker-\(number)",
                    [
                        "worker", "--coordinator", "localhost:\(workersPort)", "--name", "worker-\(number)",
                        "--threads", "\(threads)", "--drained-status", "\(WorkerCommand.drainedUnderUp)",
                    ]
                        + localFiles.flatMap { ["--local-files", $0] }, state))
        }
        for child in children { try child.start() }
        print("coordinator  http://localhost:\(port) (workers: localhost:\(workersPort))")
        print("inference    http://localhost:\(inferencePort)")
        print("workers      \(workers), each with \(threads) thread\(threads == 1 ? "" : "s")")
        print("logs         \(state)/*.log")
        print("Ctrl-C stops all.")
        fflush(nil)
        let supervised = children
        let signalled = await withTaskGroup(of: Bool.self) { group in
            let (signals, continuation) = AsyncStream.makeStream(of: Int32.self)
            let sources = [SIGINT, SIGTERM].map { number in
                signal(number, SIG_IGN)
                let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
                source.setEventHandler { continuation.yield(number) }
                source.resume()
                return source
            }
            group.addTask {
                for await _ in signals { break }
                return true
            }
            group.addTask {
                while !Task.isCancelled {
                    for child in supervised where !child.superviseOnce() { return false }
                    try? await Task.sleep(for: .milliseconds(200))
                }
                return true
            }
            let first = await group.next() ?? true
            group.cancelAll()
            sources.forEach { $0.cancel() }
            return first
        }
        print("stopping")
        for child in children.reversed() { child.stop() }
        if !signalled { throw ExitStatus.refused }
    }
}

/// A child process that is started again when it dies, at most five times a minute.
private final class Child: @unchecked Sendable {
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
