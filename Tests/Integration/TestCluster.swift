import Foundation
import TestKit
import Testing

/// Real processes and real xrootd servers on loopback, in a directory of their own.
final class TestCluster {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardizedFileURL
    static let executable = root.appending(path: ".build/release/beamline").path
    static let python = root.appending(path: ".build-python/bin/python").path

    let directory: URL
    private(set) var sites: [Int] = []
    private(set) var workersPort = 0
    private(set) var restPort = 0
    private(set) var inferencePort = 0
    private(set) var processes: [String: Process] = [:]

    /// Makes a sample of `events` and serves it as two sites.
    init(events: Int) throws {
        directory = FileManager.default.temporaryDirectory.appending(
            path: "beamline-test-\(UUID().uuidString.prefix(8))")
        for site in ["site1", "site2"] {
            try FileManager.default.createDirectory(
                at: directory.appending(path: "\(site)/store"), withIntermediateDirectories: true)
        }
        try Self.run(
            Self.python, [Self.root.appending(path: "scripts/make-sample").path, path("data"), "--events", "\(events)"])
        try FileManager.default.moveItem(atPath: path("data/tth"), toPath: path("site1/store/tth"))
        try FileManager.default.moveItem(atPath: path("data/qcd"), toPath: path("site2/store/qcd"))
        for attempt in 0..<3 {
            // Below the range that the kernel gives to clients; somebody may have one of them all the same.
            let base = Int.random(in: 10_000...31_000)
            (sites, workersPort, restPort, inferencePort) = ([base, base + 1], base + 2, base + 3, base + 4)
            do {
                try startSites()
                return
            } catch  where attempt < 2 {}
        }
    }

    deinit {
        for process in processes.values where process.isRunning {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        _ = try? Self.run(Self.root.appending(path: "scripts/test-sites").path, ["stop", directory.path])
        try? FileManager.default.removeItem(at: directory)
    }

    func path(_ name: String) -> String { directory.appending(path: name).path }

    func startSites() throws {
        let started = try Self.run(
            Self.root.appending(path: "scripts/test-sites").path,
            ["start", directory.path, "\(sites[0])", "\(sites[1])"], expect: nil)
        guard started.code == 0 else { throw TestSites.Failure(description: started.output) }
    }

    @discardableResult
    static func run(
        _ program: String, _ arguments: [String], expect code: Int32? = 0
    ) throws -> (code: Int32, output: String) {
        let found = try Process.result(program, arguments, mergesErrors: true)
        let output = String(decoding: found.output, as: UTF8.self)
        if let code, found.status != code {
            Issue.record("\(program) \(arguments) ended with \(found.status): \(output)")
            throw CocoaError(.executableLoad)
        }
        return (found.status, output)
    }

    func start(
        _ name: String, _ arguments: [String], program: String = executable, environment: [String: String] = [:]
    ) throws {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let log = path("\(name).log")
        if !FileManager.default.fileExists(atPath: log) {
            _ = FileManager.default.createFile(atPath: log, contents: nil)
        }
        let handle = FileHandle(forWritingAtPath: log)!
        handle.seekToEndOfFile()
        process.standardOutput = handle
        process.standardError = handle
        process.standardInput = FileHandle.nullDevice
        try process.start()
        processes[name] = process
    }

    func startCoordinator(
        lease: Double = 3, sites: String? = nil, options: [String] = [], environment: [String: String] = [:]
    ) throws {
        try start(
            "coordinator",
            [
                "coordinator", "--state", path("state"), "--workers-port", "\(workersPort)", "--port", "\(restPort)",
                // Old spelling of --retry-timeout, still accepted.
                "--lease", "\(lease)", "--patience", "0",
            ] + (sites.map { ["--sites", $0] } ?? []) + options, environment: environment)
        try waitUntilCoordinatorAnswers()
    }

    /// A coordinator that ends as by kill -9 when the first receipts are committed and none is acknowledged.
    func startDyingCoordinator() throws {
        try start(
            "coordinator", [path("state"), "\(restPort)", "\(workersPort)"],
            program: Self.root.appending(path: ".build/release/dying-coordinator").path)
        try waitUntilCoordinatorAnswers()
    }

    private func waitUntilCoordinatorAnswers() throws {
        try waitUntil("the coordinator answers") { self.rest("jobs", client: ["jobs", "--json"]) != nil }
    }

    func startWorker(
        _ name: String, threads: Int = 1, localFiles: String? = nil, options: [String] = [],
        environment: [String: String] = [:]
    ) throws {
        try start(
            name,
            ["worker", "--coordinator", "localhost:\(workersPort)", "--name", name, "--threads", "\(threads)"]
                + (localFiles.map { ["--local-files", $0] } ?? []) + options, environment: environment)
    }

    func killHard(_ name: String) {
        guard let process = processes.removeValue(forKey: name) else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    func send(_ signal: Int32, to name: String) {
        if let process = processes[name] { kill(process.processIdentifier, signal) }
    }

    func isRunning(_ name: String) -> Bool { processes[name]?.isRunning == true }

    /// The scheme of the REST interface; and further options for its clients.
    var scheme = "http"
    var clientOptions: [String] = []

    func client(_ arguments: [String]) -> [String] {
        arguments + ["--coordinator", "\(scheme)://localhost:\(restPort)"] + clientOptions
    }

    func waitUntil(_ what: String, seconds: Double = 60, _ condition: () throws -> Bool) throws {
        let deadline = Date().addingTimeInterval(seconds)
        while try !condition() {
            guard Date() < deadline else {
                Issue.record("waited \(seconds) s until \(what)\n\(logs())")
                throw CancellationError()
            }
            Thread.sleep(forTimeInterval: 0.1)
        }
    }

    func logs() -> String {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        return names.filter { $0.hasSuffix(".log") }.sorted().map { name in
            "--- \(name)\n" + ((try? String(contentsOfFile: path(name), encoding: .utf8)) ?? "").suffix(4000)
        }.joined(separator: "\n")
    }

    func job(chunk: Int = 1000, extra: String = "") -> String {
        """
        name: tth
        tree: events
        datasets:
          - {name: ttH, label: 1, files: "root://localhost:\(sites[0])//store/tth/*.root"}
          - {name: qcd, label: 0, tree: boosted/events, files: ["root://localhost:\(sites[1])//store/qcd/"]}
        branches: {keep: ["*"], drop: ["gen_*"], identifiers: [run, event]}
        chunk: {events: \(chunk)}
        \(extra)
        """
    }

    func submit(_ text: String) throws -> Int {
        let file = path("job-\(UUID().uuidString.prefix(6)).yaml")
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        let output = try Self.run(Self.executable, client(["submit", file])).output
        return Int(output.split(separator: "\n")[0].split(separator: " ")[1])!
    }

    /// What the REST interface answers, in JSON: asked from here, or by a client where that needs TLS and tokens.
    private func rest(_ path: String, client arguments: [String]) -> Any? {
        guard scheme == "https" else { return RestProbe.get("http://localhost:\(restPort)/api/v1/\(path)") }
        guard let run = try? Self.run(Self.executable, client(arguments), expect: nil), run.code == 0 else {
            return nil
        }
        return try? JSONSerialization.jsonObject(with: Data(run.output.utf8), options: .fragmentsAllowed)
    }

    func status(_ job: Int) throws -> [String: Any] {
        rest("jobs/\(job)", client: ["status", "\(job)", "--json"]) as? [String: Any] ?? [:]
    }

    func stage(_ job: Int) throws -> String { try status(job)["stage"] as? String ?? "" }

    func waitForEnd(_ job: Int, seconds: Double = 120) throws -> String {
        var stage = ""
        try waitUntil("job \(job) ends", seconds: seconds) {
            stage = try self.stage(job)
            return ["done", "failed", "cancelled"].contains(stage)
        }
        return stage
    }

    func specs(_ job: Int) throws -> [String: Any] {
        let output = try Self.run(Self.executable, client(["specs", "\(job)", "--json"])).output
        return try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any] ?? [:]
    }

    func workers() throws -> [[String: Any]] {
        rest("workers", client: ["workers", "--json"]) as? [[String: Any]] ?? []
    }

    /// A worker by its name, as the coordinator sees it; empty where it is not joined.
    func worker(_ name: String) throws -> [String: Any] { try workers().first { $0["name"] as? String == name } ?? [:] }

    /// Stops a worker and returns once the coordinator has missed its heartbeats for a while, or has dropped it.
    func suspend(_ name: String) throws {
        send(SIGSTOP, to: name)
        try waitUntil("\(name) is missed") { (try self.worker(name)["silentSeconds"] as? Double ?? 2) >= 2 }
    }

    @discardableResult
    func command(_ arguments: [String]) throws -> String { try Self.run(Self.executable, client(arguments)).output }

    /// The finished model as it is published.
    func bundle(_ job: Int) throws -> Data {
        let file = path("bundle-\(job).tar")
        try Self.run("/usr/bin/curl", ["-sf", "-o", file, "http://localhost:\(restPort)/api/v1/jobs/\(job)/bundle"])
        return try Data(contentsOf: URL(filePath: file))
    }
}
