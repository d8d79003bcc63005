import Foundation
import TestKit
import Testing

/// Sites that fail in every way that a site can, through links of our own in front of real servers.
@Suite(.serialized) struct SiteFaultTests {
    /// The sample at one real server; a second one has other content under the same names.
    private func cluster(events: Int) throws -> TestCluster {
        let cluster = try TestCluster(events: events)
        let files = FileManager.default
        try files.moveItem(atPath: cluster.path("site2/store/qcd"), toPath: cluster.path("site1/store/qcd"))
        try TestCluster.run(
            TestCluster.python,
            [
                TestCluster.root.appending(path: "scripts/make-sample").path, cluster.path("other"), "--events",
                "\(events)", "--seed", "77",
            ])
        for name in ["tth", "qcd"] {
            try files.moveItem(atPath: cluster.path("other/\(name)"), toPath: cluster.path("site2/store/\(name)"))
        }
        return cluster
    }

    private func sitesFile(_ cluster: TestCluster, _ ports: [(name: String, port: UInt16)]) throws -> String {
        let sites = ports.map { "  - {name: \($0.name), endpoints: [\"root://localhost:\($0.port)\"], prefixes: [/]}" }
        let text = "limits: {open_seconds: 3, read_seconds: 3}\nsites:\n" + sites.joined(separator: "\n") + "\n"
        try text.write(toFile: cluster.path("sites.yaml"), atomically: true, encoding: .utf8)
        return cluster.path("sites.yaml")
    }

    /// Every file is named at another site, in turn.
    private func job(_ cluster: TestCluster, _ ports: [UInt16], extra: String = "") throws -> String {
        var next = 0
        func list(_ name: String) throws -> String {
            try FileManager.default.contentsOfDirectory(atPath: cluster.path("site1/store/\(name)")).sorted().map {
                file in
                defer { next += 1 }
                return "\"root://localhost:\(ports[next % ports.count])//store/\(name)/\(file)\""
            }.joined(separator: ", ")
        }
        return """
            name: faults
            tree: events
            datasets:
              - {name: ttH, label: 1, files: [\(try list("tth"))]}
              - {name: qcd, label: 0, tree: boosted/events, files: [\(try list("qcd"))]}
            branches: {keep: ["*"], drop: ["gen_*"], identifiers: [run, event]}
            chunk: {events: 3000}
            \(extra)
            """
    }

    private struct Site: Decodable {
        struct Fault: Decodable {
            var fault: String
            var count: Int
        }
        var site: String
        var state: String
        var files: Int
        var bytes: Int
        var retries: Int
        var faults: [Fault]
    }

    private func sites(_ cluster: TestCluster) throws -> [String: Site] {
        let output = try TestCluster.run(TestCluster.executable, cluster.client(["sites", "--json"])).output
        let sites = try JSONDecoder().decode([Site].self, from: Data(output.utf8))
        return Dictionary(uniqueKeysWithValues: sites.map { ($0.site, $0) })
    }

    @Test func theSpecsAreTheSameBytesWhateverTheSitesDo() throws {
        let cluster = try cluster(events: 150_000)
        let real = UInt16(cluster.sites[0])
        let opens = try ImpairmentProxy(upstream: real, seed: 5)
        let dead = try ImpairmentProxy(upstream: real)
        let stalling = try ImpairmentProxy(upstream: real)
        let resetting = try ImpairmentProxy(upstream: real)
        let swapping = try ImpairmentProxy(upstream: real)
        defer { for proxy in [opens, stalling, resetting, swapping] { proxy.stop() } }
        dead.stop()
        let ports = [opens, dead, stalling, resetting, swapping].map(\.port)
        let file = try sitesFile(cluster, Array(zip(["opens", "dead", "stalling", "resetting", "swapping"], ports)))
        try cluster.startCoordinator(sites: file)
        try cluster.startWorker("w1", threads: 2)
        try cluster.startWorker("w2")

        // Quietly, at the one server.
        let quiet = try cluster.submit(try job(cluster, [real]))
        #expect(try cluster.waitForEnd(quiet) == "done")
        let reference = try cluster.specs(quiet)

        opens.change { $0.rejectOpens = 0.05 }
        stalling.change { $0.stallAfter = 300_000 }
        resetting.change { $0.resetEvery = 3_000_000 }
        let disturbed = try cluster.submit(try job(cluster, ports))
        // Once the files are known, the last site's connections break, and new ones lead to other files of the same
        // names.
        try cluster.waitUntil("the files are surveyed") {
            ["specs", "done", "failed"].contains(try cluster.stage(disturbed))
        }
        swapping.redirect(to: UInt16(cluster.sites[1]))
        swapping.resetAll()
        let end = try cluster.waitForEnd(disturbed, seconds: 240)
        let status = try cluster.status(disturbed)
        #expect(end == "done", "\(status)")
        #expect(try cluster.specs(disturbed)["sha256"] as? String == reference["sha256"] as? String)
        #expect(try cluster.specs(disturbed)["events"] as? Int == 150_000)
        // How many reads each site gets, and so which faults it comes to, is for the workers to choose; the dead one
        // every file meets. Each fault by itself is for XrootdSourceTests.
        let reported = try sites(cluster)
        print(
            """
            site faults: \(opens.rejectedOpens) rejected opens, \(resetting.connectionsAccepted) connections to the \
            resetting site, stalled \(stalling.isStalled)
            """
        )
        #expect(reported["dead"]?.faults.contains { $0.fault == "unreachable" } == true)
    }

    /// A replica list with sizes and checksums, of which one is wrong; and a cache that spares the site a second
    /// reading.
    @Test func replicaListsAreVerifiedAndTheCacheSparesTheSite() throws {
        let cluster = try cluster(events: 20_000)
        let link = try ImpairmentProxy(upstream: UInt16(cluster.sites[0]))
        defer { link.stop() }
        let file = cluster.path("site1/store/tth/tth_1.root")
        let sum = try TestCluster.run(
            TestCluster.python,
            ["-c", "import sys, zlib; print(f'{zlib.adler32(open(sys.argv[1], \"rb\").read()):08x}')", file]
        ).output.filter { !$0.isWhitespace }
        let size = try #require(FileManager.default.attributesOfItem(atPath: file)[.size] as? Int)
        func list(_ name: String, _ sum: String) throws -> String {
            try """
            <metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="/store/tth/tth_1.root"><size>\(size)</size>\
            <hash type="adler32">\(sum)</hash>
            <url priority="1">root://localhost:\(cluster.sites[1])//store/tth/none.root</url>
            <url priority="2">root://localhost:\(link.port)//store/tth/tth_1.root</url></file></metalink>
            """.write(toFile: cluster.path(name), atomically: true, encoding: .utf8)
            return cluster.path(name)
        }
        try "cache: {dir: \(cluster.path("cache")), bytes: 1 GB}".write(
            toFile: cluster.path("sites.yaml"), atomically: true, encoding: .utf8)
        try cluster.startCoordinator(sites: cluster.path("sites.yaml"))
        try cluster.startWorker("w1", localFiles: cluster.directory.path)
        func run(_ files: String) throws -> (Int, String) {
            let job = try cluster.submit(
                "name: listed\ntree: events\nverify: adler32\ndatasets:\n  - {name: a, files: \"\(files)\"}\n")
            return (job, try cluster.waitForEnd(job))
        }
        let (first, end) = try run(try list("good.meta4", sum))
        let status = try cluster.status(first)
        #expect(end == "done", "\(status)")
        #expect(try cluster.specs(first)["events"] as? Int ?? 0 > 1000)
        let before = link.bytesDown
        #expect(before > size / 2)
        // Another worker, the same directory.
        cluster.killHard("w1")
        try cluster.startWorker("w2", localFiles: cluster.directory.path)
        let (second, _) = try run(cluster.path("good.meta4"))
        #expect(try cluster.specs(second)["sha256"] as? String == cluster.specs(first)["sha256"] as? String)
        #expect(link.bytesDown - before < size / 5, "\(link.bytesDown - before) of \(size)")
        let (wrong, failed) = try run(try list("bad.meta4", "0badc0de"))
        #expect(failed == "failed")
        let error = try cluster.status(wrong)["error"] as? String ?? ""
        for word in ["checksum", "0badc0de", sum, "none.root"] { #expect(error.contains(word), "\(word): \(error)") }
    }

    @Test func whatNoSiteGivesIsNamedWithEachSitesError() throws {
        let cluster = try cluster(events: 4000)
        let dead = try ImpairmentProxy(upstream: UInt16(cluster.sites[0]))
        dead.stop()
        let rejecting = try ImpairmentProxy(upstream: UInt16(cluster.sites[0]))
        defer { rejecting.stop() }
        rejecting.change { $0.rejectOpens = 1 }
        let file = try sitesFile(cluster, [("dead", dead.port), ("rejecting", rejecting.port)])
        try cluster.startCoordinator(sites: file)
        try cluster.startWorker("w1")
        let lost = "root://localhost:\(dead.port)//store/tth/tth_1.root"
        let good = "root://localhost:\(cluster.sites[0])//store/tth/tth_1.root"
        func run(_ files: String, _ extra: String = "") throws -> [String: Any] {
            let job = try cluster.submit(
                "name: lost\ntree: events\ndatasets:\n  - {name: a, files: [\(files)]}\n\(extra)")
            _ = try cluster.waitForEnd(job)
            return try cluster.status(job)
        }
        let failed = try run("\"\(lost)\"")
        #expect(failed["stage"] as? String == "failed")
        let words = ["tth_1.root", "dead", "rejecting", "cannot be reached", "rejects this open"]
        for word in words {
            #expect((failed["error"] as? String)?.contains(word) == true, "\(word): \(failed["error"] ?? "")")
        }
        // Skipped, the rest is done; the report has the same words.
        let skipped = try run("\"\(lost)\", \"\(good)\"", "on_error: skip")
        #expect(skipped["stage"] as? String == "done", "\(skipped) \(cluster.logs())")
        let notes = (skipped["notes"] as? [String] ?? []).joined()
        for word in words { #expect(notes.contains(word), "\(word): \(notes)") }
    }
}
