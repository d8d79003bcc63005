import Foundation
import Testing

@Suite(.serialized) struct TrainingStageTests {
    static func train(epochs: Int) -> String {
        """
        features: {pad: {"Jet_*": 4, "*": 6}, normalise: standard, padding: mean}
        train:
          lanes: 6
          batch: 50
          epochs: \(epochs)
          optimizer: {adam: {learning_rate: 0.001}}
          model:
            - dense: {units: 24, activation: relu}
            - dropout: 0.3
            - dense: {units: 1, activation: sigmoid}
        """
    }

    @Test func theBundleIsTheSameBytesWhateverDies() throws {
        let cluster = try TestCluster(events: 40_000)
        try cluster.startCoordinator()
        try cluster.startWorker("w1")
        let text = cluster.job(chunk: 10_000, extra: Self.train(epochs: 6))
        let alone = try cluster.submit(text)
        #expect(try cluster.waitForEnd(alone) == "done")
        let reference = try cluster.bundle(alone)
        #expect(reference.count > 10_000)

        try cluster.startWorker("w2", threads: 2)
        try cluster.startWorker("w3")
        func epochs(_ job: Int) throws -> Int { (try cluster.status(job)["metrics"] as? [Any])?.count ?? 0 }
        let three = try cluster.submit(text)
        /// Rounds that the job's story has.
        func rounds(_ job: Int) throws -> Int {
            try cluster.command(["story", "job", "\(job)"]).split(separator: "\n").count {
                $0.contains("training round")
            }
        }
        try cluster.waitUntil("w2 trains, past the first epoch") {
            try epochs(three) >= 1 && cluster.worker("w2")["phase"] as? String == "training"
        }
        let before = try rounds(three)
        cluster.killHard("w2")
        #expect(try cluster.waitForEnd(three) == "done")
        #expect(try rounds(three) > before, "the death of a member must have ended its round")
        #expect(try cluster.bundle(three) == reference)

        // The coordinator dies in training; a worker joins while it is away.
        let third = try cluster.submit(text)
        try cluster.waitUntil("the first epoch ends") { try epochs(third) >= 1 }
        cluster.killHard("coordinator")
        try cluster.startWorker("w4")
        try cluster.startCoordinator()
        #expect(try cluster.waitForEnd(third) == "done")
        #expect(try cluster.bundle(third) == reference)
    }

    @Test func theModelIsServedAndAgreesWithTheOracles() throws {
        let cluster = try TestCluster(events: 20_000)
        try cluster.startCoordinator()
        for name in ["w1", "w2", "w3"] { try cluster.startWorker(name) }
        let publish = "publish: {model: tth, nodes: [\"http://localhost:\(cluster.inferencePort)\"]}"
        let job = try cluster.submit(cluster.job(extra: Self.train(epochs: 2) + "\n" + publish))
        // The node is not there yet: the job waits, and its status shows for whom.
        try cluster.waitUntil("the job waits for the node") {
            (try cluster.status(job)["waiting"] as? String)?.contains("inference node") == true
        }
        try cluster.start(
            "inference", ["inference", "--state", cluster.path("models"), "--port", "\(cluster.inferencePort)"])
        #expect(try cluster.waitForEnd(job) == "done")
        _ = try cluster.bundle(job)
        try TestCluster.run(TestCluster.executable, cluster.client(["status", "\(job)", "--json"])).output
            .write(toFile: cluster.path("status.json"), atomically: true, encoding: .utf8)
        func oracle() throws {
            let output = try TestCluster.run(
                TestCluster.python,
                [
                    TestCluster.root.appending(path: "Tests/Integration/oracles/model.py").path,
                    cluster.path("bundle-\(job).tar"), cluster.path("status.json"),
                    cluster.path("site1/store/tth"), cluster.path("site2/store/qcd"),
                    "http://localhost:\(cluster.inferencePort)",
                ]
            ).output
            #expect(output.contains("agree"), "\(output)")
        }
        try oracle()
        // A node that was killed serves the model again.
        cluster.killHard("inference")
        try cluster.start(
            "inference", ["inference", "--state", cluster.path("models"), "--port", "\(cluster.inferencePort)"])
        try cluster.waitUntil("the node answers") {
            (try? TestCluster.run(
                "/usr/bin/curl", ["-sf", "http://localhost:\(cluster.inferencePort)/v2/models/tth/ready"], expect: nil
            ).code) == 0
        }
        try oracle()
        try checkRequests(cluster)
    }

    @Test func labelsFromABranchAndASmallCache() throws {
        let cluster = try TestCluster(events: 9000)
        try cluster.startCoordinator()
        // A cache of 1 MiB holds no block: each is read again when its turn comes, with the same result.
        try cluster.start(
            "w1",
            ["worker", "--coordinator", "localhost:\(cluster.workersPort)", "--name", "w1", "--cache-megabytes", "1"])
        func job(_ label: String) -> String {
            """
            name: labelled
            tree: boosted/events
            datasets: [{name: qcd, files: "root://localhost:\(cluster.sites[1])//store/qcd/qcd_[1-3].root"}]
            label_branch: \(label)
            branches: {keep: ["feat*", trigger, nJet]}
            train: {epochs: 2, model: [{dense: {units: 1, activation: sigmoid}}]}
            """
        }
        let small = try cluster.submit(job("trigger"))
        #expect(try cluster.waitForEnd(small) == "done")
        let reference = try cluster.bundle(small)
        cluster.killHard("w1")
        try cluster.startWorker("w2", threads: 2)
        let large = try cluster.submit(job("trigger"))
        #expect(try cluster.waitForEnd(large) == "done")
        #expect(try cluster.bundle(large) == reference)
        #expect(!String(decoding: reference, as: UTF8.self).contains("\"branch\":\"trigger\""))
        // A branch that is no class fails the job at once, with the reason.
        let bad = try cluster.submit(job("feat0"))
        #expect(try cluster.waitForEnd(bad) == "failed")
        #expect((try cluster.status(bad)["error"] as? String)?.contains("label") == true)
        // A job that trains can be cancelled.
        let cancelled = try cluster.submit(job("trigger").replacingOccurrences(of: "epochs: 2", with: "epochs: 100000"))
        try cluster.waitUntil("it trains") { try cluster.stage(cancelled) == "train" }
        try TestCluster.run(TestCluster.executable, cluster.client(["cancel", "\(cancelled)"]))
        #expect(try cluster.stage(cancelled) == "cancelled")
    }

    private func checkRequests(_ cluster: TestCluster) throws {
        let node = "http://localhost:\(cluster.inferencePort)"
        func predict(_ body: String, model: String = "tth") throws -> (code: Int32, output: String) {
            try body.write(toFile: cluster.path("request.json"), atomically: true, encoding: .utf8)
            return try TestCluster.run(
                TestCluster.executable, ["predict", "--node", node, "--model", model, cluster.path("request.json")],
                expect: nil)
        }
        #expect(try predict(#"{"keys": ["feat1", "feat0"], "values": [0.5, null]}"#).code == 0)
        let one = try predict(#"{"keys": ["feat1", "feat0"], "values": [0.5, 0.1]}"#).output
        #expect(try predict(#"{"keys": ["feat0", "feat1"], "values": [0.1, 0.5]}"#).output == one)
        let unknownKey = try predict(#"{"keys": ["nonsense"], "values": [1]}"#)
        #expect(unknownKey.code != 0 && unknownKey.output.contains("nonsense"))
        let unknownModel = try predict(#"{"keys": ["feat0"], "values": [1]}"#, model: "other")
        #expect(unknownModel.code != 0 && unknownModel.output.contains("other") && unknownModel.output.contains("tth"))
        let short = try predict(
            #"{"inputs": [{"name": "features", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}"#)
        #expect(short.code != 0 && short.output.contains("shape"))
        // Shapes whose product does not fit, values that are no numbers: rejected, and the node lives.
        for body in [
            #"{"inputs": [{"name": "features", "shape": [9223372036854775807, 212], "#
                + #""datatype": "FP32", "data": [1]}]}"#,
            #"{"inputs": [{"name": "features", "shape": "all", "datatype": "FP32", "data": {"a": 1}}]}"#, "{}",
            #"{"keys": 3, "values": []}"#,
        ] { #expect(try predict(body).code != 0) }
        #expect(try predict(#"{"keys": ["feat1", "feat0"], "values": [0.5, 0.1]}"#).output == one)
    }

    private static let corpus = TestCluster.root.appending(path: "../shared/root-corpus/files").standardizedFileURL

    @Test(
        .enabled(
            if: FileManager.default.fileExists(atPath: corpus.path),
            "reference files at ../shared/root-corpus are needed")
    )
    func realFilesTrain() throws {
        let corpus = Self.corpus
        let cluster = try TestCluster(events: 800)
        try cluster.startCoordinator()
        for name in ["w1", "w2"] { try cluster.startWorker(name, localFiles: corpus.path) }
        func file(_ name: String) -> String { corpus.appending(path: name).path }
        func run(_ datasets: String, _ extra: String, atLeast area: Double) throws {
            let job = try cluster.submit(
                """
                name: real
                datasets:
                \(datasets)
                \(extra)
                features: {normalise: standard, padding: 0}
                train:
                  epochs: 20
                  batch: 64
                  model: [{dense: {units: 64, activation: relu}}, {dropout: 0.2}, \
                {dense: {units: 1, activation: sigmoid}}]
                """)
            #expect(try cluster.waitForEnd(job) == "done")
            let status = try cluster.status(job)
            #expect(status["error"] == nil)
            let found = (status["test"] as? [String: Any])?["auc"] as? Double ?? 0
            #expect(found >= area, "AUC \(found)")
            print("\(datasets.split(separator: "/").last ?? ""): test AUC \(found)")
        }
        try run(
            """
              - {name: hzz, label: 1, tree: events, files: \(file("skhep__uproot-HZZ.root"))}
              - {name: ww, label: 0, tree: events, files: \(file("fastcarp__CMS_HEP_tutorial_ww.root"))}
            """, "branches: {drop: [\"MC*\", EventWeight, triggerIsoMu24]}", atLeast: 0.78)
        try run(
            """
              - {name: higgs, label: 1, tree: sig_tree, files: \(file("lmtmva__Higgs_data.root"))}
              - {name: background, label: 0, tree: bkg_tree, files: \(file("lmtmva__Higgs_data.root"))}
            """, "", atLeast: 0.70)
        try run(
            """
              - {name: s, label: 1, tree: TreeS, files: \(file("roottest__tmva_class_example.root"))}
              - {name: b, label: 0, tree: TreeB, files: \(file("roottest__tmva_class_example.root"))}
            """, "", atLeast: 0.88)
    }
}
