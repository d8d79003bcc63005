import ArgumentParser
import Foundation

struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Starts a coordinator, workers and an inference node on this machine.",
        discussion: """
            A process that dies is started again, later each time that it dies soon. Ctrl-C or TERM stops all; what has
            not ended after five seconds is killed.

            Example:
              beamline up --workers 3 --state ~/beamline
            """)

    @Option(help: "How many workers.")
    var workers = 2

    @Option(help: "The directory of all state.")
    var state = "beamline-state"

    @Option(help: "Threads of each worker.")
    var threads = 1

    @Option(help: "A directory whose files the workers may read; may be repeated.")
    var localFiles: [String] = [FileManager.default.currentDirectoryPath]

    @Flag(help: "Links below --local-files may lead out of these directories.")
    var followLinks = false

    @Option(help: "The sites file: named sites with endpoints, prefixes, limits, credentials.")
    var sites: String?

    @Option(help: "The coordinator's REST port.")
    var port = 8080

    @Option(help: "The coordinator's port for workers.")
    var workersPort = 8081

    @Option(help: "The inference node's port.")
    var inferencePort = 8083

    func validate() throws {
        for directory in localFiles where !isDirectory(directory) {
            throw ValidationError("--local-files: expected a directory; found \(directory.debugDescription)")
        }
        guard (1...256).contains(workers) else {
            throw ValidationError("--workers: expected 1 to 256; found \(workers)")
        }
    }

    func run() async throws {
        _ = try readSites(sites)
        try FileManager.default.createDirectory(
            atPath: state, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let state = URL(filePath: state).standardizedFileURL.path
        var children: [SupervisedProcess] = [
            SupervisedProcess(
                "coordinator",
                [
                    "coordinator", "--state", state + "/coordinator", "--port", "\(port)", "--workers-port",
                    "\(workersPort)",
                ]
                    + (sites.map { ["--sites", $0] } ?? []), state),
            SupervisedProcess(
                "inference", ["inference", "--state", state + "/models", "--port", "\(inferencePort)"], state),
        ]
        for number in 1...workers {
            children.append(
                SupervisedProcess(
                    "worker-\(number)",
                    [
                        "worker", "--workers-address", "localhost:\(workersPort)", "--name", "worker-\(number)",
                        "--threads", "\(threads)", "--drained-status", "\(WorkerCommand.drainedUnderUp)",
                    ]
                        + localFiles.flatMap { ["--local-files", $0] } + (followLinks ? ["--follow-links"] : []),
                    state))
        }
        let log = makeLogger("up")
        let supervisor = Supervisor(children)
        defer {
            print("stopping")
            supervisor.stop()
        }
        try supervisor.start()
        print("coordinator  http://localhost:\(port) (workers: localhost:\(workersPort))")
        print("inference    http://localhost:\(inferencePort)")
        print("workers      \(workers), each with \(threads) thread\(threads == 1 ? "" : "s")")
        print("logs         \(state)/*.log")
        print("Ctrl-C stops all.")
        fflush(nil)
        try await runServices([supervisor], log: log)
    }
}
