import Foundation
import TestKit
import Testing

/// Coordinators that meet in one state directory, without sites or workers.
@Suite(.serialized) struct OwnershipTests {
    /// A directory, and two pairs of ports.
    private final class OwnedState {
        let directory = FileManager.default.temporaryDirectory.appending(
            path: "beamline-owner-\(UUID().uuidString.prefix(8))")
        let base = Int.random(in: 10_000...31_000)
        var state: String { directory.appending(path: "state").path }
        private var processes: [Process] = []

        init() throws { try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true) }

        deinit {
            for process in processes where process.isRunning {
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
            }
            try? FileManager.default.removeItem(at: directory)
        }

        func arguments(_ pair: Int, _ options: [String] = []) -> [String] {
            [
                "coordinator", "--state", state, "--port", "\(base + 2 * pair)", "--workers-port",
                "\(base + 2 * pair + 1)",
            ] + options
        }

        /// Starts a coordinator and waits until it answers.
        func start(_ pair: Int, _ options: [String] = []) throws -> (process: Process, log: String) {
            let process = Process()
            process.executableURL = URL(filePath: TestCluster.executable)
            process.arguments = arguments(pair, options)
            let log = directory.appending(path: "\(processes.count).log").path
            _ = FileManager.default.createFile(atPath: log, contents: nil)
            process.standardOutput = FileHandle(forWritingAtPath: log)
            process.standardError = process.standardOutput
            process.standardInput = FileHandle.nullDevice
            try process.start()
            processes.append(process)
            try wait("it answers", { try !answers(pair) && process.isRunning })
            return (process, log)
        }

        func answers(_ pair: Int) throws -> Bool {
            RestProbe.get("http://localhost:\(base + 2 * pair)/api/v1/jobs") != nil
        }

        func wait(_ what: String, seconds: Double = 30, _ condition: () throws -> Bool) throws {
            let deadline = Date().addingTimeInterval(seconds)
            while try condition() {
                guard Date() < deadline else {
                    Issue.record("waited \(seconds) s until \(what)")
                    throw CancellationError()
                }
                Thread.sleep(forTimeInterval: 0.05)
            }
        }
    }

    @Test func aSecondCoordinatorIsRejectedUnlessItTakesOver() throws {
        let owned = try OwnedState()
        let first = try owned.start(0)
        // By its own ports, and by those of the first.
        for pair in [0, 1] {
            let second = try TestCluster.run(TestCluster.executable, owned.arguments(pair), expect: 4)
            #expect(second.output.contains("process \(first.process.processIdentifier) on "), "\(second.output)")
        }
        #expect(try owned.answers(0) && first.process.isRunning)
        let third = try owned.start(1, ["--takeover"])
        try owned.wait("the first ends", seconds: 20) { first.process.isRunning }
        #expect(first.process.terminationStatus == 4 && first.process.terminationReason == .exit)
        let log = try String(contentsOfFile: first.log, encoding: .utf8)
        #expect(log.contains("another coordinator has taken over this ledger"), "\(log)")
        #expect(third.process.isRunning)
        // TERM leaves the ledger in one file.
        kill(third.process.processIdentifier, SIGTERM)
        try owned.wait("the third ends", seconds: 20) { third.process.isRunning }
        #expect(third.process.terminationStatus == 0)
        let wal = try? FileManager.default.attributesOfItem(atPath: owned.state + "/ledger.sqlite-wal")
        #expect((wal?[.size] as? Int ?? 0) == 0)
    }

    @Test func anEmptyLedgerBesideBlobsIsRejected() throws {
        let owned = try OwnedState()
        let blobs = owned.state + "/blobs"
        try FileManager.default.createDirectory(atPath: blobs, withIntermediateDirectories: true)
        let blob = blobs + "/" + String(repeating: "a", count: 64)
        try Data("a model".utf8).write(to: URL(filePath: blob))
        let rejected = try TestCluster.run(TestCluster.executable, owned.arguments(0), expect: 4)
        #expect(rejected.output.contains("--accept-ledger"), "\(rejected.output)")
        let accepted = try owned.start(0, ["--accept-ledger"])
        #expect(accepted.process.isRunning && FileManager.default.fileExists(atPath: blob))
    }
}
