import Foundation
import Testing

/// `beamline samples`: what training sees, in files for other tools.
@Suite(.serialized) struct SamplesTests {
    private func samples(
        _ cluster: TestCluster, _ arguments: [String], expect code: Int32? = 0
    ) throws -> (code: Int32, output: String) {
        try TestCluster.run(TestCluster.executable, cluster.client(["samples"] + arguments), expect: code)
    }

    @Test func theyAreWhatTheFilesHold() throws {
        let cluster = try TestCluster(events: 4000)
        try cluster.startCoordinator()
        try cluster.startWorker("w1")
        let job = try cluster.submit(cluster.job(extra: TrainingStageTests.train(epochs: 1)))
        try #require(try cluster.waitForEnd(job) == "done")
        let (normalised, raw) = (cluster.path("normalised"), cluster.path("raw/samples"))
        let printed = try samples(cluster, ["\(job)", "--part", "train", "--part", "test", "--output", normalised])
            .output
        #expect(printed.contains("9 of 9 files") && printed.contains("samples in 2 files"), "\(printed)")
        _ = try samples(
            cluster, ["\(job)", "--part", "all", "--output", raw, "--raw", "--samples-per-file", "700"])
        _ = try cluster.bundle(job)
        try cluster.command(["specs", "\(job)", "--json"]).write(
            toFile: cluster.path("specs.json"), atomically: true, encoding: .utf8)
        let oracle = TestCluster.root.appending(path: "Tests/Integration/oracles/samples.py").path
        let output = try TestCluster.run(
            TestCluster.python,
            [
                oracle, normalised, raw, cluster.path("bundle-\(job).tar"), cluster.path("specs.json"), "700",
                cluster.path("site1/store/tth"), cluster.path("site2/store/qcd"),
            ]
        ).output
        #expect(output.contains("4000 samples of 9 files agree"), "\(output)")

        // Once more, with other threads and fewer files: the same bytes, and nothing of the run before.
        let first = try Data(contentsOf: URL(filePath: normalised + "/train-00000.npz"))
        try Data("other".utf8).write(to: URL(filePath: normalised + "/train-00001.npz"))
        _ = try samples(
            cluster,
            [
                "\(job)", "--part", "train", "--output", normalised, "--force", "--threads", "3", "--read-ahead", "0",
            ])
        #expect(try Data(contentsOf: URL(filePath: normalised + "/train-00000.npz")) == first)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: normalised).sorted() == [
                "test-00000.npz", "train-00000.npz",
            ])
    }

    @Test func mistakesAreNamed() throws {
        let cluster = try TestCluster(events: 2000)
        try cluster.startCoordinator()
        try cluster.startWorker("w1")
        let job = try cluster.submit(cluster.job(extra: TrainingStageTests.train(epochs: 1)))
        let specsOnly = try cluster.submit(cluster.job())
        try #require(try cluster.waitForEnd(job) == "done")
        try #require(try cluster.waitForEnd(specsOnly) == "done")
        let output = cluster.path("samples")
        func fails(_ arguments: [String], _ code: Int32, _ texts: String...) throws {
            let found = try samples(cluster, arguments + ["--output", output], expect: code).output
            for text in texts { #expect(found.contains(text), "\(arguments): \(found)") }
        }
        try fails(["\(job)", "--part", "trian"], 2, "trian", "validation")
        try fails(["\(job)"], 2, "--part: expected train, validation, test or all")
        try fails(["\(job)", "--part", "all", "--samples-per-file", "0"], 2, "--samples-per-file")
        try fails(["\(job)", "--part", "all", "--format", "csv"], 2, "csv")
        try fails(["99", "--part", "all"], 4, "no job 99")
        try fails(["\(specsOnly)", "--part", "all"], 4, "job \(specsOnly) has no data plan: it does not train")

        _ = try samples(cluster, ["\(job)", "--part", "test", "--output", output])
        let file = URL(filePath: output + "/test-00000.npz")
        let before = try Data(contentsOf: file)
        try fails(["\(job)", "--part", "all"], 2, "test-00000.npz", "--force replaces them")
        #expect(try Data(contentsOf: file) == before)

        // A job that no worker has begun.
        cluster.killHard("w1")
        let waiting = try cluster.submit(cluster.job(extra: TrainingStageTests.train(epochs: 1)))
        try fails(["\(waiting)", "--part", "train"], 4, "job \(waiting) has no data plan yet", "stage list")

        // A file that was replaced since the job read it, and one that is gone.
        let stored = cluster.path("site1/store/tth/tth_1.root")
        try FileManager.default.removeItem(atPath: stored)
        try FileManager.default.copyItem(atPath: cluster.path("site2/store/qcd/qcd_1.root"), toPath: stored)
        try fails(["\(job)", "--part", "train"], 4, "tth_1.root")
        try FileManager.default.removeItem(atPath: stored)
        try fails(["\(job)", "--part", "train"], 2, "tth_1.root")
        #expect(try FileManager.default.contentsOfDirectory(atPath: output) == ["test-00000.npz"])
    }
}
