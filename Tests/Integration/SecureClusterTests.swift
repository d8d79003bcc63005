import Foundation
import TestKit
import Testing

@Suite(.serialized) struct SecureClusterTests {
    /// The coordinator's token reaches a site through a worker that has none; nothing that stays contains it.
    @Test func aTokenIsForwardedOverTLSOnly() throws {
        let cluster = try TestCluster(events: 4000)
        let file = try Data(contentsOf: URL(filePath: cluster.path("site1/store/tth/tth_1.root")))
        let sites = try TestSites(
            files: ["store/a.root": [UInt8](file)], options: ["--secure", "PORT"], folders: ["secure"])
        func path(_ name: String) -> String { sites.directory.appending(path: name).path }
        let secret = try String(contentsOfFile: path("secure-token"), encoding: .utf8).filter { !$0.isWhitespace }
        let none = [
            "BEARER_TOKEN": "", "BEARER_TOKEN_FILE": "", "XDG_RUNTIME_DIR": "",
            "X509_CERT_DIR": path("secure-ca/certificates"),
        ]
        let job =
            """
            name: guarded\ntree: events\ndatasets:\n  - {name: a, files: \
            \"roots://localhost:\(sites.spare)//store/a.root\"}\n
            """

        // Without TLS the job is rejected at once.
        try cluster.startCoordinator()
        try (job + "credentials: forward\n").write(toFile: cluster.path("job.yaml"), atomically: true, encoding: .utf8)
        let rejected = try TestCluster.run(
            TestCluster.executable, cluster.client(["submit", cluster.path("job.yaml")]), expect: 2)
        #expect(rejected.output.contains("over TLS only"))
        cluster.killHard("coordinator")

        // Tokens are for sites that the sites file names.
        try "sites: [{name: GUARDED, endpoints: [\"roots://localhost:\(sites.spare)\"]}]".write(
            toFile: cluster.path("sites.yaml"), atomically: true, encoding: .utf8)
        let environment = none.merging(["BEARER_TOKEN_FILE": path("secure-token")]) { $1 }
        (cluster.scheme, cluster.clientOptions) = ("https", ["--tls-authority", path("secure-ca/ca.pem")])
        try cluster.startCoordinator(
            sites: cluster.path("sites.yaml"),
            options: ["--tls-certificate", path("secure-ca/host.pem"), "--tls-key", path("secure-ca/host.key")],
            environment: environment)
        try cluster.startWorker("w1", options: ["--tls-authority", path("secure-ca/ca.pem")], environment: none)
        // The worker alone has no token.
        let own = try cluster.submit(job)
        #expect(try cluster.waitForEnd(own) == "failed")
        #expect((try cluster.status(own)["error"] as? String)?.contains("denied access") == true)
        let forwarded = try cluster.submit(job + "credentials: forward\n")
        let end = try cluster.waitForEnd(forwarded)
        let status = try cluster.status(forwarded)
        #expect(end == "done", "\(status)")
        // One without the authority's certificate does not even talk.
        try cluster.startWorker("w2", environment: none)
        try cluster.waitUntil("the second worker is turned away") {
            (try? String(contentsOfFile: cluster.path("w2.log"), encoding: .utf8))?.contains(
                "no session with the coordinator") == true
        }
        for name in try FileManager.default.subpathsOfDirectory(atPath: cluster.directory.path) {
            guard let bytes = FileManager.default.contents(atPath: cluster.path(name)) else { continue }
            #expect(bytes.range(of: Data(secret.utf8)) == nil, "\(name)")
        }
    }

    /// A coordinator that listens to all: with its own authority's certificate, and to nobody without a token.
    @Test func onlyThoseWithATokenOfTheRightRole() throws {
        let cluster = try TestCluster(events: 3000)
        func beamline(_ arguments: [String], expect code: Int32 = 0) throws -> String {
            try TestCluster.run(TestCluster.executable, arguments, expect: code).output
        }
        let state = ["--state", cluster.path("state")]
        try FileManager.default.createDirectory(atPath: cluster.path("state"), withIntermediateDirectories: true)
        _ = try beamline(["ca", "init", "--directory", cluster.path("ca"), "--host", "localhost"])
        #expect(try beamline(["ca", "init", "--directory", cluster.path("ca")], expect: 4).contains("exists already"))
        func token(_ role: String, ttl: String = "1h") throws -> [String] {
            let text = try beamline(["token", "create", "--role", role, "--ttl", ttl, "--name", "the \(role)"] + state)
            let file = cluster.path("token-\(UUID().uuidString.prefix(6))")
            try text.write(toFile: file, atomically: true, encoding: .utf8)
            return ["--token-file", file]
        }
        let (reader, submitter) = (try token("reader"), try token("submitter"))
        let (admin, joins) = (try token("admin"), try token("worker"))
        let authority = ["--tls-authority", cluster.path("ca/ca.pem")]
        (cluster.scheme, cluster.clientOptions) = ("https", authority + submitter)
        try cluster.startCoordinator(options: [
            "--host", "0.0.0.0", "--tls-certificate", cluster.path("ca/coordinator.pem"), "--tls-key",
            cluster.path("ca/coordinator-key.pem"),
        ])
        let address = ["--coordinator", "https://localhost:\(cluster.restPort)"] + authority

        // Workers: none, the wrong role, the right one.
        try cluster.startWorker("stranger", options: authority)
        try cluster.startWorker("person", options: authority + reader)
        try cluster.startWorker("w1", options: authority + joins)
        let job = try cluster.submit(cluster.job())
        #expect(try cluster.waitForEnd(job) == "done")
        #expect(try cluster.workers().map { $0["name"] as? String } == ["w1"])
        try cluster.waitUntil("both log why") {
            cluster.logs().contains("a token is needed") && cluster.logs().contains("role is reader")
        }

        // People.
        #expect(try beamline(["jobs"] + address, expect: 4).contains("a token is needed"))
        #expect(try beamline(["jobs"] + address + joins, expect: 4).contains("role is worker"))
        #expect(try beamline(["jobs"] + address + reader).contains("tth"))
        #expect(try beamline(["cancel", "\(job)"] + address + reader, expect: 4).contains("role is reader"))
        let number = "\(try cluster.workers()[0]["id"] as? Int ?? 0)"
        #expect(try beamline(["drain", number] + address + submitter, expect: 4).contains("role is submitter"))
        _ = try beamline(["drain", number] + address + admin)
        // Expired, revoked, made up.
        let short = try token("admin", ttl: "1s")
        try cluster.waitUntil("the short token is expired") {
            try TestCluster.run(TestCluster.executable, ["jobs"] + address + short, expect: nil).code == 4
        }
        let listed = try beamline(["token", "list"] + state).split(separator: "\n")
        #expect(
            listed.count == 5 && listed.contains { $0.contains("expired") }
                && listed.contains { $0.contains("the reader") })
        let id = listed.first { $0.contains("the admin") && !$0.contains("expired") }!.split(separator: " ")[0]
        _ = try beamline(["token", "revoke", String(id)] + state)
        _ = try beamline(["jobs"] + address + admin, expect: 4)
        let forged = cluster.path("forged")
        try "beamline_../../x_00".write(toFile: forged, atomically: true, encoding: .utf8)
        _ = try beamline(["jobs"] + address + ["--token-file", forged], expect: 4)
        // The secrets are nowhere but where we put them.
        let secret = try String(contentsOfFile: joins[1], encoding: .utf8).split(separator: "_")[2].trimmingCharacters(
            in: .whitespacesAndNewlines)
        for name in try FileManager.default.subpathsOfDirectory(atPath: cluster.directory.path)
        where !name.hasPrefix("token-") {
            #expect(
                FileManager.default.contents(atPath: cluster.path(name))?.range(of: Data(secret.utf8)) == nil, "\(name)"
            )
        }
    }

    /// A session ends with its token, at the next heartbeat, and the worker gets no more work.
    @Test func aRevokedTokenEndsItsSession() throws {
        let cluster = try TestCluster(events: 2000)
        func beamline(_ arguments: [String]) throws -> String {
            try TestCluster.run(TestCluster.executable, arguments).output
        }
        let state = ["--state", cluster.path("state")]
        try FileManager.default.createDirectory(atPath: cluster.path("state"), withIntermediateDirectories: true)
        func token(_ role: String) throws -> (options: [String], id: String) {
            let text = try beamline(["token", "create", "--role", role, "--ttl", "1h"] + state)
            let file = cluster.path("token-\(UUID().uuidString.prefix(6))")
            try text.write(toFile: file, atomically: true, encoding: .utf8)
            return (["--token-file", file], String(text.split(separator: "_")[1]))
        }
        let (first, second) = (try token("worker"), try token("worker"))
        let admin = try token("admin")
        cluster.clientOptions = admin.options
        try cluster.start(
            "coordinator",
            [
                "coordinator", "--workers-port", "\(cluster.workersPort)", "--port", "\(cluster.restPort)",
                "--require-tokens",
            ] + state)
        func names() -> [String] {
            let run = try? TestCluster.run(
                TestCluster.executable, cluster.client(["workers", "--json"]), expect: nil)
            let found = run.flatMap { try? JSONSerialization.jsonObject(with: Data($0.output.utf8)) }
            return ((found as? [[String: Any]]) ?? []).compactMap { $0["name"] as? String }.sorted()
        }
        try cluster.startWorker("w1", options: first.options)
        try cluster.startWorker("w2", options: second.options)
        try cluster.waitUntil("both joined") { names() == ["w1", "w2"] }
        _ = try beamline(["token", "revoke", first.id] + state)
        try cluster.waitUntil("its session has ended", seconds: 10) { names() == ["w2"] }
        try cluster.waitUntil("both sides log why", seconds: 10) {
            func log(_ name: String) throws -> String {
                try String(contentsOfFile: cluster.path("\(name).log"), encoding: .utf8)
            }
            return try log("coordinator").contains("the token \(first.id) was revoked or has expired")
                && log("w1").contains("revoked or ")
        }
        // Its story has no death that could be attributed to a task or a training.
        let story = try cluster.command(["story", "worker", "1"]) + cluster.command(["story", "worker", "2"])
        #expect(story.contains("was dropped"), "\(story)")
        #expect(names() == ["w2"])
    }

    /// Peers that speak nonsense are dropped with a line in the log, and the coordinator goes on.
    @Test func nonsenseIsDropped() throws {
        let cluster = try TestCluster(events: 2000)
        try cluster.startCoordinator()
        func call(_ method: String, _ message: [UInt8]) throws -> String {
            let file = cluster.path("message")
            let length = UInt32(message.count).bigEndian
            try Data([0] + withUnsafeBytes(of: length) { [UInt8]($0) } + message).write(to: URL(filePath: file))
            return try TestCluster.run(
                "/usr/bin/curl",
                [
                    "-s", "-i", "--max-time", "5", "--http2-prior-knowledge", "-H", "content-type: application/grpc",
                    "-H", "te: trailers", "--data-binary", "@\(file)",
                    "http://localhost:\(cluster.workersPort)/beamline.Workers/\(method)",
                ], expect: nil
            ).output
        }
        func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(bytes.count)] + bytes }
        // No protobuf; a protobuf message that is not valid; a heartbeat before the join request; an invalid join
        // request.
        _ = try call("Session", [255, 255, 255, 255])
        _ = try call("Session", field(1, Array("nonsense".utf8)))
        // Old spelling of a heartbeat, as it travels.
        let heartbeat = #"{"beat":{"_0":{"held":[]}}}"#
        #expect(try call("Session", field(1, Array(heartbeat.utf8))).contains("begins with a join request"))
        let fields = #""joinsRounds":true,"localRoots":[],"name":"x","readAhead":0,"threads":-1"#
        // Old spelling of a join request, as it travels.
        let join = #"{"hello":{"_0":{\#(fields),"version":""}}}"#
        _ = try call("Session", field(1, Array(join.utf8)))
        try cluster.waitUntil("all are in the log") {
            cluster.logs().split(separator: "\n").count { $0.contains("the session of") && $0.contains("is ended") }
                >= 3
        }
        // A blob of a petabyte.
        #expect(
            try call("PutBlob", field(1, Array("x".utf8)) + [2 << 3, 128, 128, 128, 128, 128, 128, 128, 1]).contains(
                "expected at most"))
        // Bytes that are no HTTP, at both ports.
        for port in [cluster.workersPort, cluster.restPort] {
            _ = try TestCluster.run(
                "/bin/bash",
                [
                    "-c",
                    """
                    exec 3<>/dev/tcp/127.0.0.1/\(port); head -c 100000 /dev/urandom >&3; timeout 2 cat <&3 \
                    >/dev/null; true
                    """,
                ], expect: nil)
        }
        // A job file without end.
        let large = cluster.path("large.json")
        try Data(repeating: 32, count: 9 << 20).write(to: URL(filePath: large))
        let answer = try TestCluster.run(
            "/usr/bin/curl",
            [
                "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "content-type: application/json", "--data-binary",
                "@\(large)",
                "http://localhost:\(cluster.restPort)/api/v1/jobs",
            ], expect: nil
        ).output
        #expect(answer == "413")
        try cluster.startWorker("w1")
        #expect(try cluster.waitForEnd(cluster.submit(cluster.job())) == "done")
    }
}
