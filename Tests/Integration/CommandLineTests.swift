import Foundation
import TestKit
import Testing

/// What scripts rely on: exit codes, options and their older spellings, JSON.
@Suite(.serialized) struct CommandLineTests {
    @discardableResult
    private func beamline(
        _ arguments: [String], expect code: Int32, environment: [String: String] = [:]
    ) throws -> String {
        try TestCluster.run(
            "/usr/bin/env", environment.map { "\($0.key)=\($0.value)" } + [TestCluster.executable] + arguments,
            expect: code
        ).output
    }

    private static let shared = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../../shared").standardizedFileURL
    private static let rejected = shared.appending(path: "faults/job_dies_on_one_branch.root").path
    private static let plain = shared.appending(
        path: "root-corpus/files/skhep__uproot-sample-6.14.00-uncompressed.root"
    ).path

    /// A file of which no wanted branch is read is no success; one of which some are not is.
    @Test(.enabled(if: FileManager.default.fileExists(atPath: rejected)))
    func readingNothingIsNoSuccess() throws {
        let stats = ["root", "stats", Self.rejected, "--tree", "KM3NET_EVENT"]
        #expect(try beamline(stats, expect: 0).contains("not read"))
        let hits = stats + ["--branches", "KM3NET_EVENT/triggeredHits*"]
        #expect(try beamline(hits, expect: 4).contains("has a Streamer of its own"))
        #expect(try beamline(hits + ["--json"], expect: 4).contains("has a Streamer of its own"))
    }

    /// A tree that cannot be opened is listed with the reason, beside the others.
    @Test(.enabled(if: FileManager.default.fileExists(atPath: plain)))
    func aTreeThatCannotBeOpenedIsListed() throws {
        #expect(try beamline(["inspect", Self.plain], expect: 0).contains("none (the file's setting is zlib level 0)"))
        var bytes = [UInt8](try Data(contentsOf: URL(filePath: Self.plain)))
        // The tree has 30 entries; its record is stored as it is, from byte 40,757 on.
        let offset = try #require(
            (40_757..<bytes.count - 8).first { bytes[$0..<$0 + 8].elementsEqual([0, 0, 0, 0, 0, 0, 0, 30]) })
        bytes.replaceSubrange(offset..<offset + 8, with: [UInt8](repeating: 0xFF, count: 8))
        let damaged = FileManager.default.temporaryDirectory.appending(path: "beamline-\(UUID().uuidString).root").path
        defer { try? FileManager.default.removeItem(atPath: damaged) }
        try Data(bytes).write(to: URL(filePath: damaged))
        for command in [["inspect", damaged], ["inspect", damaged, "--json"], ["root", "stats", damaged]] {
            #expect(try beamline(command, expect: 4).contains("number of entries is not plausible"))
        }
    }

    /// 0 done, 1 the job failed, 2 wrong usage, 3 unreachable, 4 rejected.
    @Test func exitCodesShowWhatHappened() throws {
        let cluster = try TestCluster(events: 2000)
        // Nothing listens there yet.
        let server = ["--server", "http://localhost:\(cluster.restPort)"]
        #expect(try beamline(["jobs"] + server, expect: 3).contains("--server or BEAMLINE_COORDINATOR"))
        let inference = ["predict", "--model", "m", "--node", "http://localhost:\(cluster.inferencePort)"]
        let request = cluster.path("request.json")
        try "{}".write(toFile: request, atomically: true, encoding: .utf8)
        #expect(try beamline(inference + [request], expect: 3).contains("--node or BEAMLINE_INFERENCE"))

        for usage in [
            ["status"], ["status", "one"], ["jobs", "--colour"], ["launch"], ["submit", "/nowhere/job.yaml"] + server,
            ["worker", "--workers-address", "::1:8081"], ["worker", "--threads", "0"],
            ["jobs", "--token-file", "/nowhere"] + server, ["jobs", "--tls-authority", "/nowhere"] + server,
            ["coordinator", "--tls-key", "/nowhere"], ["specs", "1", "--format", "csv"] + server,
            ["inspect", "/nowhere/file.root"], ["predict", "--model", "m", "/nowhere.json"],
        ] { try beamline(usage, expect: 2) }
        for fine in [["--help"], ["help", "status"], ["version"], ["--version"], ["worker", "--help"]] {
            try beamline(fine, expect: 0)
        }

        try cluster.startCoordinator()
        try cluster.startWorker("w1")
        let job = cluster.path("job.yaml")
        try cluster.job().write(toFile: job, atomically: true, encoding: .utf8)
        try beamline(["submit", job, "--wait"] + server, expect: 0)
        try beamline(["cancel", "1"] + server, expect: 4)
        try beamline(["status", "99"] + server, expect: 4)
        try "name: x\ntree: t\ncolour: red".write(toFile: job, atomically: true, encoding: .utf8)
        #expect(try beamline(["submit", job] + server, expect: 2).contains("line 3: "))
        try cluster.job().replacing("tree: events", with: "tree: nothing").write(
            toFile: job, atomically: true, encoding: .utf8)
        try beamline(["submit", job, "--wait"] + server, expect: 1)
        try beamline(["status", "2", "--watch"] + server, expect: 1)
    }

    @Test func optionsHaveTheirOlderSpellings() throws {
        let cluster = try TestCluster(events: 2000)
        try cluster.startCoordinator()
        // Workers by the option's newer name, by the environment, and by the older one (as in all other tests).
        try cluster.start("w1", ["worker", "--workers-address", "localhost:\(cluster.workersPort)", "--name", "w1"])
        try cluster.start(
            "w2", ["worker", "--name", "w2", "--cache-megabytes", "64", "--memory-mib", "64"],
            environment: ["BEAMLINE_WORKERS_ADDRESS": "localhost:\(cluster.workersPort)"])
        try cluster.waitUntil("both joined") { try cluster.workers().count == 2 }
        let server = "http://localhost:\(cluster.restPort)"
        let job = try cluster.submit(cluster.job())
        #expect(try cluster.waitForEnd(job) == "done")
        let reached: [([String], [String: String])] = [
            (["--server", server], [:]), (["--coordinator", server + "/"], [:]), ([], ["BEAMLINE_COORDINATOR": server]),
        ]
        for (options, environment) in reached {
            #expect(try beamline(["jobs"] + options, expect: 0, environment: environment).contains("done"))
        }
        // Each line is a status; the last one is final.
        let lines = try beamline(["status", "\(job)", "--watch", "--json", "--server", server], expect: 0)
        let last =
            try JSONSerialization.jsonObject(
                with: Data(lines.split(separator: "\n").last.map(String.init)?.utf8 ?? "".utf8)) as? [String: Any]
        #expect(last?["stage"] as? String == "done")
        // DELETE is the older spelling of cancel. Without workers the job cannot end before it comes.
        for worker in ["w1", "w2"] { cluster.send(SIGTERM, to: worker) }
        try cluster.waitUntil("both left") { try cluster.workers().isEmpty }
        let paused = try cluster.submit(cluster.job(chunk: 1))
        _ = try TestCluster.run("/usr/bin/curl", ["-sf", "-X", "DELETE", "\(server)/api/v1/jobs/\(paused)"])
        #expect(try cluster.waitForEnd(paused) == "cancelled")
    }

    /// TERM ends each server by itself, with exit code 0 and without a delay of its own; a worker has given back what
    /// it held.
    @Test func serversShutDownGracefully() throws {
        let cluster = try TestCluster(events: 2000)
        try cluster.startCoordinator(lease: 300)
        try cluster.startWorker("w1")
        try cluster.start(
            "inference", ["inference", "--port", "\(cluster.inferencePort)", "--state", cluster.path("models")])
        try cluster.waitUntil("the worker joined") { try cluster.workers().count == 1 }
        cluster.send(SIGTERM, to: "w1")
        // Without its leave the lease, 300 s, would keep it.
        try cluster.waitUntil("the worker left") { try cluster.workers().isEmpty }
        try cluster.startWorker("w2")
        try cluster.waitUntil("another joined") { try cluster.workers().count == 1 }
        for name in ["inference", "coordinator", "w1", "w2"] {
            cluster.send(SIGTERM, to: name)
            try cluster.waitUntil("\(name) ended", seconds: 20) { !cluster.isRunning(name) }
            #expect(cluster.processes[name]?.terminationStatus == 0, "\(name)")
            #expect(cluster.processes[name]?.terminationReason == .exit, "\(name)")
        }
    }
}
