import Foundation
import Testing

/// A job that an earlier version's coordinator was killed in is finished by this one.
@Suite struct GoldenJobTests {
    private static func weights(_ arguments: String...) throws -> String {
        let program = TestCluster.root.appending(path: "Tests/Golden/weights").path
        return try TestCluster.run(TestCluster.python, [program] + arguments).output
    }

    /// Its specs are the earlier version's, its training begins again: the model is that of the job submitted today.
    @Test func aJobInterruptedThenIsFinishedNow() throws {
        let golden = TestCluster.root.appending(path: "Tests/Golden")
        let input = "/tmp/beamline-golden"
        try TestCluster.run(TestCluster.python, [golden.appending(path: "make-input").path, input])
        let cluster = try TestCluster(events: 200)
        try FileManager.default.createDirectory(atPath: cluster.path("state"), withIntermediateDirectories: true)
        try TestCluster.run(
            "/usr/bin/tar",
            ["-xJf", golden.appending(path: "format-1/interrupted.tar.xz").path, "-C", cluster.path("state")])
        try cluster.startCoordinator()
        #expect(try cluster.stage(1) == "train")
        try cluster.startWorker("w1", localFiles: input)
        try #require(try cluster.waitForEnd(1) == "done")
        _ = try cluster.bundle(1)
        let again = try cluster.submit(try Self.weights("--job"))
        try #require(try cluster.waitForEnd(again) == "done")
        _ = try cluster.bundle(again)
        let found = try Self.weights(cluster.path("bundle-1.tar"))
        let expected = try Self.weights(cluster.path("bundle-\(again).tar"))
        #expect(found.count > 100 && found == expected)
    }

    /// A coordinator names both versions to a worker of the first one; its join request is that of the golden session.
    @Test func anOlderWorkerIsRejected() throws {
        let cluster = try TestCluster(events: 200)
        try cluster.startCoordinator()
        // Old spelling of a join request, as it travels.
        let message = #"{"hello":{"_0":{"name":"old","threads":1,"version":"0.1.0"}}}"#.utf8
        let body = [UInt8](arrayLiteral: 1 << 3 | 2, UInt8(message.count)) + message
        let file = cluster.path("join.bin")
        try Data([0, 0, 0, 0, UInt8(body.count)] + body).write(to: URL(filePath: file))
        let answer = try TestCluster.run(
            "/usr/bin/curl",
            [
                "-s", "-i", "--max-time", "5", "--http2-prior-knowledge", "-H", "content-type: application/grpc", "-H",
                "te: trailers", "--data-binary", "@\(file)",
                "http://localhost:\(cluster.workersPort)/beamline.Workers/Session",
            ], expect: nil
        ).output
        #expect(answer.contains("worker old (beamline 0.1.0)") && answer.contains("grpc-status: 9"), "\(answer)")
        #expect(answer.contains("the worker speaks version 1 of the protocol, the coordinator version 5"), "\(answer)")
    }

    /// A worker that meets a coordinator of the first version logs that, and ends.
    @Test func anOlderCoordinatorIsRejected() throws {
        let cluster = try TestCluster(events: 200)
        let oracle = TestCluster.root.appending(path: "Tests/Integration/oracles/old_coordinator.py").path
        try cluster.start("old coordinator", [oracle, "\(cluster.workersPort)"], program: TestCluster.python)
        try cluster.startWorker("w1")
        try cluster.waitUntil("the worker ends") { !cluster.isRunning("w1") }
        #expect(cluster.processes["w1"]?.terminationStatus == 4)
        #expect(cluster.logs().contains("the worker speaks version 5 of the protocol, the coordinator version 1"))
        #expect(cluster.logs().contains("install the same version of beamline for both"))
    }
}
