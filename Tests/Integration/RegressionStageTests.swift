import Foundation
import Testing

/// Jobs that learn a target instead of classes.
@Suite(.serialized) struct RegressionStageTests {
    private static let oracle = TestCluster.root.appending(path: "Tests/Integration/oracles/regression.py").path

    private func cluster() throws -> TestCluster {
        let cluster = try TestCluster(events: 800)
        let store = cluster.path("site1/store/linear")
        try FileManager.default.createDirectory(atPath: store, withIntermediateDirectories: true)
        try TestCluster.run(TestCluster.python, [Self.oracle, "make", store])
        try cluster.startCoordinator()
        try cluster.startWorker("w1")
        return cluster
    }

    private func job(_ cluster: TestCluster, files: String = "linear_*", extra: String = "") -> String {
        """
        name: linear
        tree: events
        target: y
        datasets: [{name: linear, files: "root://localhost:\(cluster.sites[0])//store/linear/\(files).root"}]
        train:
          lanes: 4
          batch: 50
          epochs: 12
          loss: huber
          optimizer: {adam: {learning_rate: 0.01}}
          early_stopping: {metric: rmse, patience: 4}
          model: [{dense: {units: 8, activation: tanh}}, {dense: {units: 1}}]
        \(extra)
        """
    }

    @Test func aTargetIsLearntServedAndAgreesWithTheOracles() throws {
        let cluster = try cluster()
        let node = "http://localhost:\(cluster.inferencePort)"
        try cluster.start(
            "inference", ["inference", "--state", cluster.path("models"), "--port", "\(cluster.inferencePort)"])
        let text = job(cluster, extra: "publish: {model: linear, nodes: [\"\(node)\"]}")
        let alone = try cluster.submit(text)
        try #require(try cluster.waitForEnd(alone) == "done")
        let reference = try cluster.bundle(alone)
        let printed = try cluster.command(["status", "\(alone)"])
        #expect(printed.contains("test: MAE ") && printed.contains("y is the target, and so no feature"), "\(printed)")
        #expect(!printed.contains("AUC"))
        try cluster.command(["status", "\(alone)", "--json"]).write(
            toFile: cluster.path("status.json"), atomically: true, encoding: .utf8)
        try cluster.command(["samples", "\(alone)", "--part", "test", "--output", cluster.path("samples")])
        let output = try TestCluster.run(
            TestCluster.python,
            [
                Self.oracle, "check", cluster.path("bundle-\(alone).tar"), cluster.path("status.json"),
                cluster.path("site1/store/linear"), cluster.path("samples"), node,
            ]
        ).output
        #expect(output.contains("agree"), "\(output)")

        // The same bytes with another number of workers.
        try cluster.startWorker("w2", threads: 2)
        try cluster.startWorker("w3")
        let three = try cluster.submit(text)
        #expect(try cluster.waitForEnd(three) == "done")
        #expect(try cluster.bundle(three) == reference)
    }

    @Test func whatCannotBeLearntIsNamed() throws {
        let cluster = try cluster()
        let constant = try cluster.submit(job(cluster, files: "constant"))
        #expect(try cluster.waitForEnd(constant) == "failed")
        let first = try cluster.status(constant)
        #expect((first["error"] as? String)?.contains("constant in the training part") == true, "\(first)")
        #expect((first["metrics"] as? [Any] ?? []).isEmpty)
        let broken = try cluster.submit(job(cluster, files: "broken"))
        #expect(try cluster.waitForEnd(broken) == "failed")
        let error = try cluster.status(broken)["error"] as? String ?? ""
        #expect(error.contains("/store/linear/broken.root") && error.contains("y, entry 17"), "\(error)")
    }
}
