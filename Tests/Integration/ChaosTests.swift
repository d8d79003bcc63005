import Foundation
import Testing

/// Workers are killed, stopped and added whenever the job has gone on for a while, the coordinator is killed twice: the
/// results are the quiet run's, byte for byte.
@Suite(.serialized) struct ChaosTests {
    @Test func whateverHappensTheResultsAreTheSame() throws {
        let cluster = try TestCluster(events: 60_000)
        let text = cluster.job(chunk: 500, extra: TrainingStageTests.train(epochs: 60))
        try cluster.startCoordinator()
        for name in ["w1", "w2", "w3"] { try cluster.startWorker(name) }
        let quiet = try cluster.submit(text)
        #expect(try cluster.waitForEnd(quiet) == "done")
        let reference = try cluster.bundle(quiet)
        let specs = try cluster.specs(quiet)["sha256"] as? String
        #expect(specs?.isEmpty == false)

        let seed = UInt64.random(in: 0..<1 << 30)
        print("chaos: seed \(seed)")
        var random = Seeded(state: seed)
        let job = try cluster.submit(text)
        var names = ["w1", "w2", "w3"]
        var next = 4
        var coordinatorKills = 0
        var actions: [String] = []
        func kill(_ worker: String) {
            actions.append("kill \(worker)")
            cluster.killHard(worker)
            names.removeAll { $0 == worker }
        }
        let deadline = Date().addingTimeInterval(150)
        while try !hasEnded(job, cluster), Date() < deadline {
            let before = try progress(job, cluster)
            try cluster.waitUntil("the job goes on", seconds: 120) {
                try hasEnded(job, cluster) || progress(job, cluster) != before
            }
            // Between three and five workers; the coordinator goes twice.
            if coordinatorKills < 2, actions.count % 3 == 1 {
                coordinatorKills += 1
                actions.append("coordinator")
                cluster.killHard("coordinator")
                try cluster.startCoordinator()
                continue
            }
            let victim = names[Int(random.next() % UInt64(names.count))]
            // One of each kind first, then by chance.
            let kinds = actions.count { !$0.hasPrefix("coordinator") }
            switch kinds < 3 ? UInt64([2, 0, 1][kinds]) : random.next() % 3 {
            case 0 where names.count > 3: kill(victim)
            case 1:
                actions.append("stop \(victim)")
                try cluster.suspend(victim)
                cluster.send(SIGCONT, to: victim)
            default:
                if names.count >= 5 { kill(victim) }
                actions.append("add w\(next)")
                names.append("w\(next)")
                try cluster.startWorker("w\(next)")
                next += 1
            }
        }
        print("chaos: \(actions.joined(separator: ", "))")
        #expect(try cluster.waitForEnd(job) == "done", "\(cluster.logs())")
        #expect(try cluster.specs(job)["sha256"] as? String == specs)
        #expect(try cluster.bundle(job) == reference)
        #expect(coordinatorKills >= 1 && actions.contains { $0.hasPrefix("add") }, "\(actions)")
        // The ledger accounts for every entry once.
        let check = try TestCluster.run(TestCluster.executable, ["ledger", "check", "--state", cluster.path("state")])
            .output
        let entries = try cluster.status(job)["entries"] as? Int ?? 0
        #expect(
            check.contains("the ledger is whole") && check.contains("job \(job) tth: done, \(entries) entries"),
            "\(check)")
    }

    private func hasEnded(_ job: Int, _ cluster: TestCluster) throws -> Bool {
        try ["done", "failed", "cancelled"].contains(cluster.stage(job))
    }

    /// Differs after each stage, and after each four thousand steps.
    private func progress(_ job: Int, _ cluster: TestCluster) throws -> String {
        let status = try cluster.status(job)
        return "\(status["stage"] ?? "") \((status["step"] as? Int ?? 0) / 4000)"
    }

    @Test func trainingGoesOnSoonAfterAMemberDies() throws {
        let cluster = try TestCluster(events: 20_000)
        try cluster.startCoordinator()
        for name in ["w1", "w2", "w3"] { try cluster.startWorker(name) }
        let job = try cluster.submit(cluster.job(extra: TrainingStageTests.train(epochs: 100_000)))
        func progress() throws -> (round: Int, step: Int) {
            (try cluster.status(job)["round"] as? Int ?? 0, try cluster.status(job)["step"] as? Int ?? 0)
        }
        try cluster.waitUntil("three train") {
            try cluster.workers().filter { ($0["phase"] as? String) == "training" }.count == 3 && progress().step > 100
        }
        let before = try progress()
        let killed = Date()
        cluster.killHard("w2")
        var lowest = Int.max
        try cluster.waitUntil("the others go on") {
            let now = try progress()
            lowest = min(lowest, now.step)
            return now.round > before.round && now.step > before.step + 100
        }
        print("training: went on \(Date().timeIntervalSince(killed)) s after a member was killed")
        // Nothing went back to a checkpoint.
        #expect(lowest >= before.step)
        #expect(try progress().round <= before.round + 2)
    }

    /// The ledger's disk is full in the midst of a job: nothing is granted, the status shows why, and when there is
    /// room again the job goes on.
    @Test func aFullDiskStopsAndLosesNothing() throws {
        let cluster = try TestCluster(events: 12_000)
        let text = cluster.job(chunk: 50, extra: TrainingStageTests.train(epochs: 60))
        try cluster.startCoordinator()
        for name in ["w1", "w2"] { try cluster.startWorker(name) }
        let quiet = try cluster.submit(text)
        #expect(try cluster.waitForEnd(quiet) == "done")
        let coordinator = "\(cluster.processes["coordinator"]!.processIdentifier)"
        let job = try cluster.submit(text)
        try cluster.waitUntil("it trains") { (try cluster.status(job)["step"] as? Int ?? 0) > 10 }
        // Writes that make a file larger fail from now on, as they do on a full disk.
        try TestCluster.run("/usr/bin/prlimit", ["--pid", coordinator, "--fsize=4096:"])
        try cluster.waitUntil("the status shows why") {
            (try cluster.status(job)["waiting"] as? String)?.contains("the ledger, which cannot be written") == true
        }
        let file = cluster.path("late.yaml")
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        let late = try TestCluster.run(TestCluster.executable, cluster.client(["submit", file]), expect: nil)
        #expect(late.code != 0 && late.output.contains("the ledger cannot be written"), "\(late)")
        #expect(try cluster.stage(job) == "train")
        try TestCluster.run("/usr/bin/prlimit", ["--pid", coordinator, "--fsize=unlimited:"])
        #expect(try cluster.waitForEnd(job) == "done")
        #expect(try cluster.specs(job)["sha256"] as? String == cluster.specs(quiet)["sha256"] as? String)
        #expect(try cluster.bundle(job) == cluster.bundle(quiet))
        let check = try TestCluster.run(TestCluster.executable, ["ledger", "check", "--state", cluster.path("state")])
            .output
        #expect(check.contains("the ledger is whole"), "\(check)")
    }

    /// With plain C, with the best instructions that this processor has, and with both in one training.
    @Test func theModelIsTheSameBitsForAnyInstructionSet() throws {
        let cluster = try TestCluster(events: 6000)
        let text = cluster.job(extra: TrainingStageTests.train(epochs: 6))
        func sets(_ workers: [[String: Any]]) -> [String] { workers.compactMap { $0["instructionSet"] as? String } }
        try cluster.startCoordinator()
        try cluster.startWorker("plain", options: ["--instructions", "portable"])
        let plain = try cluster.submit(text)
        #expect(try cluster.waitForEnd(plain) == "done")
        #expect(try sets(cluster.workers()) == ["portable"])
        cluster.killHard("plain")
        try cluster.startWorker("best")
        try cluster.waitUntil("one has followed the other") {
            try cluster.workers().compactMap { $0["name"] as? String } == ["best"]
        }
        // A key of earlier versions changes nothing, and is noted.
        let best = try cluster.submit(text.replacingOccurrences(of: "train:", with: "train:\n  kernels: Haswell"))
        #expect(try cluster.waitForEnd(best) == "done")
        let notes = try cluster.status(best)["notes"] as? [String] ?? []
        #expect(notes.contains { $0.hasPrefix("train: kernels has no effect any more") }, "\(notes)")
        try cluster.startWorker("plain", options: ["--instructions", "portable"])
        try cluster.waitUntil("both are there") { try cluster.workers().count == 2 }
        let mixed = try cluster.submit(text)
        #expect(try cluster.waitForEnd(mixed) == "done")
        let reference = try cluster.bundle(plain)
        for job in [best, mixed] { #expect(try cluster.bundle(job) == reference, "job \(job)") }
        try cluster.command(["fetch", "\(mixed)", "--directory", cluster.path("model")])
        let record =
            try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: cluster.path("model/run.json"))))
            as? [String: Any]
        let members = record?["members"] as? [[String: Any]] ?? []
        #expect(
            Set(members.compactMap { $0["name"] as? String }) == ["best", "plain"]
                && sets(members).contains("portable") && !sets(members).contains(""), "\(record ?? [:])")
        #expect(try Data(contentsOf: URL(filePath: cluster.path("model/bundle.tar"))) == cluster.bundle(mixed))
    }

    /// A member that is stopped for longer than anybody waits: the others go on without it, and with it when it is
    /// back.
    @Test func aMemberThatHangsIsLeftBehind() throws {
        let cluster = try TestCluster(events: 6000)
        try cluster.startCoordinator()
        for name in ["w1", "w2"] { try cluster.startWorker(name) }
        let job = try cluster.submit(cluster.job(extra: TrainingStageTests.train(epochs: 100_000)))
        func step() throws -> Int { try cluster.status(job)["step"] as? Int ?? 0 }
        func training() throws -> [String] {
            try cluster.workers().filter { ($0["phase"] as? String) == "training" }.compactMap { $0["name"] as? String }
        }
        try cluster.waitUntil("both train") { try training().count == 2 && step() > 100 }
        try cluster.suspend("w2")
        let before = try step()
        try cluster.waitUntil("the other goes on alone", seconds: 120) {
            try step() > before + 100 && training() == ["w1"]
        }
        cluster.send(SIGCONT, to: "w2")
        try cluster.waitUntil("both train again") { try training().count == 2 }
        try cluster.command(["cancel", "\(job)"])
    }

    @Test func pauseResumeDrainRetryAndStories() throws {
        let cluster = try TestCluster(events: 12_000)
        try cluster.startCoordinator()
        try cluster.startWorker("w1")
        let text = cluster.job(chunk: 500, extra: TrainingStageTests.train(epochs: 100_000))
        let job = try cluster.submit(text)
        try cluster.waitUntil("it trains") { (try cluster.status(job)["step"] as? Int ?? 0) > 10 }
        try cluster.command(["pause", "\(job)"])
        try cluster.waitUntil("nobody trains") { try cluster.workers().allSatisfy { $0["round"] == nil } }
        let paused = try cluster.status(job)["step"] as? Int
        // Another job is done meanwhile.
        let other = try cluster.submit(cluster.job(chunk: 500))
        #expect(try cluster.waitForEnd(other) == "done")
        #expect(try cluster.status(job)["paused"] as? Bool == true && cluster.status(job)["step"] as? Int == paused)
        try cluster.command(["resume", "\(job)"])
        try cluster.waitUntil("it goes on") { (try cluster.status(job)["step"] as? Int ?? 0) > (paused ?? 0) + 10 }
        // A drained worker ends by itself; the job waits for another.
        let number = try cluster.workers()[0]["id"] as? Int ?? 0
        try cluster.command(["drain", "\(number)"])
        try cluster.waitUntil("the worker ends") { !cluster.isRunning("w1") }
        try cluster.startWorker("w2")
        let step = try cluster.status(job)["step"] as? Int ?? 0
        try cluster.waitUntil("the other trains") { (try cluster.status(job)["step"] as? Int ?? 0) > step + 10 }
        try cluster.command(["cancel", "\(job)"])
        try cluster.command(["retry", "\(job)"])
        try cluster.waitUntil("it trains again") { try cluster.stage(job) == "train" }
        try cluster.command(["cancel", "\(job)"])
        let story = try cluster.command(["story", "job", "\(job)"])
        for word in ["stage specs", "paused", "resumed", "training round", "cancelled", "tried again"] {
            #expect(story.contains(word), "\(story)")
        }
        #expect(try cluster.command(["story", "worker", "\(number)"]).contains("drained"))
    }

    @Test func aJobIsTriedAgainWithoutWhatCannotBeRead() throws {
        let cluster = try TestCluster(events: 9000)
        try Data("this is no ROOT file".utf8).write(to: URL(filePath: cluster.path("site1/store/tth/zz_broken.root")))
        try cluster.startCoordinator()
        try cluster.startWorker("w1")
        let job = try cluster.submit(cluster.job(extra: TrainingStageTests.train(epochs: 1)))
        #expect(try cluster.waitForEnd(job) == "failed")
        #expect((try cluster.status(job)["error"] as? String)?.contains("zz_broken.root") == true)
        try cluster.command(["retry", "\(job)", "--without-unreadable"])
        #expect(try cluster.waitForEnd(job) == "done")
        let check = try TestCluster.run(TestCluster.executable, ["ledger", "check", "--state", cluster.path("state")])
            .output
        #expect(check.contains("the ledger is whole"), "\(check)")
        // The copy is whole, and so is what is left after the room was given back.
        try FileManager.default.createDirectory(atPath: cluster.path("copy"), withIntermediateDirectories: true)
        try TestCluster.run(
            TestCluster.executable,
            ["ledger", "backup", cluster.path("copy/ledger.sqlite"), "--state", cluster.path("state")])
        try TestCluster.run(TestCluster.executable, ["ledger", "compact", "--state", cluster.path("state")])
        #expect(try cluster.stage(job) == "done")
        for state in ["state", "copy"] {
            let again = try TestCluster.run(
                TestCluster.executable, ["ledger", "check", "--state", cluster.path(state)])
            #expect(again.output == check, "\(state)")
        }
    }
}

/// SplitMix64.
private struct Seeded {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
