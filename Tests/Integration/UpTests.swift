import Foundation
import TestKit
import Testing

/// `beamline up`: a child that dies is its own affair, and stopping takes seconds.
@Suite(.serialized) struct UpTests {
    /// The children of a process, with the first argument of each (`coordinator`, `worker`, ...).
    private func children(of parent: Int32) -> [(id: Int32, command: String)] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return all.compactMap(Int32.init).compactMap { id in
            guard let status = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8),
                let line = FileManager.default.contents(atPath: "/proc/\(id)/cmdline")
            else { return nil }
            // pid (name) state parent
            let fields = status.split(separator: ")").last?.split(separator: " ") ?? []
            let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            guard fields.count > 1, Int32(fields[1]) == parent, words.count > 1 else { return nil }
            return (id, words[1])
        }
    }

    private func descriptors(of process: Int32) -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd"))?.count ?? 0
    }

    private func wait(_ what: String, seconds: Double = 30, _ condition: () throws -> Bool) throws {
        let deadline = Date().addingTimeInterval(seconds)
        while try !condition() {
            guard Date() < deadline else {
                Issue.record("waited \(seconds) s until \(what)")
                throw CancellationError()
            }
            Thread.sleep(forTimeInterval: 0.05)
        }
    }

    @Test func aChildThatDiesAgainAndAgainIsBackedOffAlone() throws {
        let directory = FileManager.default.temporaryDirectory.appending(
            path: "beamline-up-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let base = Int.random(in: 10_000...31_000)
        let up = Process()
        up.executableURL = URL(filePath: TestCluster.executable)
        up.arguments = [
            "up", "--workers", "1", "--state", directory.appending(path: "state").path, "--port", "\(base)",
            "--workers-port", "\(base + 1)", "--inference-port", "\(base + 2)",
        ]
        let log = directory.appending(path: "up.log").path
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        up.standardOutput = FileHandle(forWritingAtPath: log)
        up.standardError = up.standardOutput
        up.standardInput = FileHandle.nullDevice
        try up.start()
        let id = up.processIdentifier
        var all: [(id: Int32, command: String)] = []
        // Ends what is left where an expectation above the end failed.
        defer {
            for child in all + children(of: id) where up.isRunning { kill(child.id, SIGKILL) }
            if up.isRunning { kill(id, SIGKILL) }
        }
        try wait("three children run") {
            all = children(of: id)
            return Set(all.map(\.command)) == ["coordinator", "inference", "worker"]
                && RestProbe.get("http://localhost:\(base)/api/v1/jobs") != nil
        }
        let others = all.filter { $0.command != "worker" }.map(\.id).sorted()
        let before = descriptors(of: id)
        // Each time later than the time before.
        for _ in 0..<3 {
            var worker: Int32?
            try wait("the worker is there") {
                worker = children(of: id).first { $0.command == "worker" }?.id
                return worker != nil
            }
            kill(worker!, SIGKILL)
            try wait("it is gone") { !children(of: id).contains { $0.id == worker } }
        }
        try wait("the deaths are named") {
            try String(contentsOfFile: log, encoding: .utf8).contains("death 3 in a row; starting it again in 2 s")
        }
        try wait("it lives again") { children(of: id).contains { $0.command == "worker" } }
        #expect(children(of: id).filter { $0.command != "worker" }.map(\.id).sorted() == others)
        #expect(descriptors(of: id) <= before)
        // A child that does not answer to TERM is killed after five seconds.
        kill(children(of: id).first { $0.command == "worker" }!.id, SIGSTOP)
        all = children(of: id)
        let stopped = Date()
        kill(id, SIGTERM)
        try wait("all have ended", seconds: 20) { !up.isRunning }
        #expect(up.terminationStatus == 0)
        #expect(Date().timeIntervalSince(stopped) < 15)
        for child in all { #expect(kill(child.id, 0) != 0, "\(child.command)") }
    }
}
