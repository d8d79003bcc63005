import Foundation
import TestKit
import Testing

@Suite(.serialized) struct SecureClusterTests {
    /// The coordinator's token reaches a site through a worker that has none; nothing that stays contains it.
    @Test func aTokenIsLentOverTLSOnly() throws {
        let cluster = try TestCluster(events: 4000)
        let file = try Data(contentsOf: URL(filePath: cluster.path("site1/store/tth/tth_1.root")))
        let sites = try TestSites(files: ["store/a.root": [UInt8](file)], options: ["--secure", "PORT"], folders: ["secure"])
        func path(_ name: String) -> String { sites.directory.appending(path: name).path }
        let secret = try String(contentsOfFile: path("secure-token"), encoding: .utf8).filter { !$0.isWhitespace }
        let none = ["BEARER_TOKEN": "", "BEARER_TOKEN_FILE": "", "XDG_RUNTIME_DIR": "", "X509_CERT_DIR": path("secure-ca/certificates")]
        let job = "name: guarded\ntree: events\ndatasets:\n  - {name: a, files: \"roots://localhost:\(sites.spare)//store/a.root\"}\n"

        // Without TLS the job is refused at once.
        try cluster.startCoordinator()
        try (job + "credentials: forward\n").write(toFile: cluster.path("job.yaml"), atomically: true, encoding: .utf8)
        let refused = try TestCluster.run(TestCluster.executable, cluster.client(["submit", cluster.path("job.yaml")]), expect: 2)
        #expect(refused.output.contains("over TLS only"))
        cluster.killHard("coordinator")

        // Tokens are for sites that the sites file names.
        try "sites: [{name: GUARDED, endpoints: [\"roots://localhost:\(sites.spare)\"]}]".write(toFile: cluster.path("sites.yaml"), atomically: true, encoding: .utf8)
        let environment = none.merging(["BEARER_TOKEN_FILE": path("secure-token")]) { $1 }
        try cluster.startCoordinator(
            sites: cluster.path("sites.yaml"), options: ["--tls-certificate", path("secure-ca/host.pem"), "--tls-key", path("secure-ca/host.key")], environment: environment)
        try cluster.startWorker("w1", options: ["--tls-authority", path("secure-ca/ca.pem")], environment: none)
        // The worker alone has no token.
        let own = try cluster.submit(job)
        #expect(try cluster.waitForEnd(own) == "failed")
        #expect((try cluster.status(own)["error"] as? String)?.contains("refuses") == true)
        let lent = try cluster.submit(job + "credentials: forward\n")
        let end = try cluster.waitForEnd(lent)
        let status = try cluster.status(lent)
        #expect(end == "done", "\(status)")
        // One without the authority's certificate does not even talk.
        try cluster.startWorker("w2", environment: none)
        try cluster.waitUntil("the second worker is turned away") { cluster.logs().contains("no session with the coordinator") }
        for name in try FileManager.default.subpathsOfDirectory(atPath: cluster.directory.path) {
            guard let bytes = FileManager.default.contents(atPath: cluster.path(name)) else { continue }
            #expect(bytes.range(of: Data(secret.utf8)) == nil, "\(name)")
        }
    }
}
