import Foundation
import Testing

@Suite(.serialized) struct SpecsStageTests {
    @Test func specsAreTheSameBytesWhateverDies() throws {
        let cluster = try TestCluster(events: 30_000)
        try cluster.startCoordinator()
        let first = try cluster.submit(cluster.job(chunk: 100_000))
        try cluster.waitUntil("the job waits for a worker") {
            (try cluster.status(first)["waiting"] as? String)?.contains("worker") == true
        }
        try cluster.startWorker("w1")
        #expect(try cluster.waitForEnd(first) == "done")
        let reference = try cluster.specs(first)
        #expect(reference["events"] as? Int == 30_000)
        try compareWithNumPy(cluster, first)

        // Another chunking, three workers, one of them killed while it holds leases.
        try cluster.startWorker("w2")
        try cluster.startWorker("w3", threads: 2)
        // The others stand still meanwhile, so that the job cannot end before.
        for name in ["w1", "w2"] { cluster.send(SIGSTOP, to: name) }
        let second = try cluster.submit(cluster.job(chunk: 1))
        try killWhileItHolds("w3", second, cluster)
        for name in ["w1", "w2"] { cluster.send(SIGCONT, to: name) }
        #expect(try cluster.waitForEnd(second) == "done")
        #expect(try cluster.specs(second)["sha256"] as? String == reference["sha256"] as? String)

        // The coordinator dies, and comes back on the same ledger.
        let third = try cluster.submit(cluster.job(chunk: 1))
        cluster.killHard("coordinator")
        try cluster.startCoordinator()
        #expect(try cluster.waitForEnd(third) == "done")
        #expect(try cluster.specs(third)["sha256"] as? String == reference["sha256"] as? String)
    }

    /// Kills a worker that certainly holds leases of a job: it is stopped first, and cannot hand them back any more.
    private func killWhileItHolds(_ name: String, _ job: Int, _ cluster: TestCluster) throws {
        func holds() throws -> Bool { (try cluster.worker(name)["held"] as? Int ?? 0) > 0 }
        while true {
            try cluster.waitUntil("\(name) holds leases") {
                try #require(cluster.stage(job) != "done", "the job was done before \(name) could be killed")
                return try holds()
            }
            cluster.send(SIGSTOP, to: name)
            // What it sent before it was stopped arrives within this time.
            try cluster.waitUntil("\(name) is silent") {
                (try cluster.worker(name)["silentSeconds"] as? Double ?? 2) > 1.2
            }
            if try holds() { break }
            cluster.send(SIGCONT, to: name)
        }
        cluster.killHard(name)
    }

    @Test func overHTTPTheSpecsAreTheSameBytes() throws {
        let cluster = try TestCluster(events: 4000)
        try cluster.startCoordinator()
        try cluster.startWorker("w1")
        let direct = try cluster.submit(cluster.job())
        #expect(try cluster.waitForEnd(direct) == "done")
        func files(_ site: Int, _ directory: String) throws -> String {
            let names = try FileManager.default.contentsOfDirectory(
                atPath: cluster.path("site\(site)/store/\(directory)")
            ).sorted()
            return "["
                + names.map { "\"http://localhost:\(cluster.sites[site - 1])//store/\(directory)/\($0)\"" }.joined(
                    separator: ", ") + "]"
        }
        let text = cluster.job()
            .replacing("\"root://localhost:\(cluster.sites[0])//store/tth/*.root\"", with: try files(1, "tth"))
            .replacing("[\"root://localhost:\(cluster.sites[1])//store/qcd/\"]", with: try files(2, "qcd"))
        #expect(!text.contains("root://"))
        let web = try cluster.submit(text)
        #expect(try cluster.waitForEnd(web) == "done")
        #expect(try cluster.specs(web)["sha256"] as? String == cluster.specs(direct)["sha256"] as? String)
    }

    @Test func killedBetweenCommitAndAcknowledgement() throws {
        let cluster = try TestCluster(events: 4000)
        try cluster.startDyingCoordinator()
        let job = try cluster.submit(cluster.job())
        try cluster.startWorker("w1")
        try cluster.waitUntil("the coordinator died") { !cluster.isRunning("coordinator") }
        try cluster.startCoordinator()
        #expect(try cluster.waitForEnd(job) == "done")
        #expect(try cluster.specs(job)["events"] as? Int == 4000)
    }

    @Test func aStoppedWorkerIsDroppedAndComesBack() throws {
        let cluster = try TestCluster(events: 4000)
        try cluster.startCoordinator()
        try cluster.startWorker("w1")
        try cluster.startWorker("w2")
        let job = try cluster.submit(cluster.job(chunk: 1))
        func workers() throws -> Int { try cluster.status(job)["workers"] as? Int ?? 0 }
        try cluster.waitUntil("both joined") { try workers() == 2 }
        cluster.send(SIGSTOP, to: "w2")
        try cluster.waitUntil("the stopped one is dropped") { try workers() == 1 }
        #expect(try cluster.waitForEnd(job) == "done")
        cluster.send(SIGCONT, to: "w2")
        try cluster.waitUntil("it joins again") { try workers() == 2 }
        #expect(try cluster.specs(job)["events"] as? Int == 4000)
    }

    @Test func badInputIsReportedWithWhatIsWrong() throws {
        let cluster = try TestCluster(events: 2000)
        try cluster.startCoordinator()
        try cluster.startWorker("w1", localFiles: cluster.directory.path)
        let good = try Data(contentsOf: URL(filePath: cluster.path("site1/store/tth/tth_1.root")))
        try good.prefix(good.count / 2).write(to: URL(filePath: cluster.path("cut.root")))
        try Data("no tree grows here, and the text is long enough to be looked at, all of it".utf8).write(
            to: URL(filePath: cluster.path("text.root")))
        // A file that the site's server may not read: access is denied.
        try good.write(to: URL(filePath: cluster.path("site1/store/tth/secret.root")))
        chmod(cluster.path("site1/store/tth/secret.root"), 0)
        func job(_ files: String, tree: String = "events", extra: String = "") throws -> [String: Any] {
            let id = try cluster.submit(
                "name: bad\ntree: \(tree)\ndatasets:\n  - {name: a, files: [\(files)]}\n\(extra)")
            _ = try cluster.waitForEnd(id)
            return try cluster.status(id)
        }
        let site = "root://localhost:\(cluster.sites[0])//store/tth"
        let cases: [(String, String, String, [String])] = [
            ("\"\(site)/none.root\"", "events", "", ["none.root", "no such file"]),
            ("\"\(cluster.path("text.root"))\"", "events", "", ["text.root", "no ROOT file"]),
            ("\"\(cluster.path("cut.root"))\"", "events", "", ["cut.root", "cut short"]),
            ("\"\(site)/tth_1.root\"", "nothing", "", ["no tree", "nothing", "events"]),
            ("\"\(site)/tth_1.root\"", "events", "branches: {keep: [feat0, absent]}", ["absent", "tth_1.root"]),
            ("\"root://localhost:1//x/a.root\"", "events", "", ["localhost:1", "reached"]),
            ("\"\(site)/secret.root\"", "events", "", ["secret.root", "localhost:\(cluster.sites[0])", "enied"]),
        ]
        for (files, tree, extra, words) in cases {
            let status = try job(files, tree: tree, extra: extra)
            #expect(status["stage"] as? String == "failed")
            for word in words {
                #expect((status["error"] as? String)?.contains(word) == true, "\(word): \(status["error"] ?? "")")
            }
        }
        // With skip, the rest of the job is unharmed.
        let skipped = try job("\"\(cluster.path("cut.root"))\", \"\(site)/tth_1.root\"", extra: "on_error: skip")
        #expect(skipped["stage"] as? String == "done")
        #expect((skipped["notes"] as? [String])?.contains { $0.contains("skipped") && $0.contains("cut.root") } == true)
        // A malformed job is rejected with its line.
        try "name: x\ntree: t\ndatasets: [{name: a, files: /x, colour: red}]".write(
            toFile: cluster.path("bad.yaml"), atomically: true, encoding: .utf8)
        let rejected = try TestCluster.run(
            TestCluster.executable, cluster.client(["submit", cluster.path("bad.yaml")]), expect: 2)
        #expect(rejected.output.contains("line 3") && rejected.output.contains("colour"))
    }

    private func compareWithNumPy(_ cluster: TestCluster, _ job: Int) throws {
        let file = cluster.path("specs.json")
        try TestCluster.run(TestCluster.executable, cluster.client(["specs", "\(job)", "--json"])).output.write(
            toFile: file, atomically: true, encoding: .utf8)
        let oracle = TestCluster.root.appending(path: "Tests/Integration/oracles/specs.py").path
        let output = try TestCluster.run(
            TestCluster.python, [oracle, file, cluster.path("site1/store/tth"), cluster.path("site2/store/qcd")]
        ).output
        #expect(output.contains("agree"), "\(output)")
    }
}
