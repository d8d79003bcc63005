import Bytes
import Cluster
import Foundation
import Storage
import Testing

@Suite struct CatalogTests {
    private var catalog: SiteCatalog {
        var near = SiteDescription(name: "NEAR", endpoints: ["root://a:1094", "root://b:1094"])
        near.prefixes = ["/eos/cms", "/eos/cms/old"]
        var far = SiteDescription(name: "FAR", endpoints: ["davs://c"])
        far.prefixes = ["/dpm/home"]
        var catalog = SiteCatalog()
        catalog.sites = [near, far]
        return catalog
    }

    @Test func theSitesFileDecidesWhereAFileIs() {
        let replicas = catalog.replicas(["root://a:1094//eos/cms/old/x.root"])
        #expect(
            replicas.map(\.url) == [
                "root://a:1094//eos/cms/old/x.root", "root://b:1094//eos/cms/old/x.root", "davs://c/dpm/home/x.root",
            ])
        #expect(replicas.map(\.certain) == [true, true, false] && replicas.map(\.site) == ["NEAR", "NEAR", "FAR"])
        #expect(catalog.logicalName("davs://c/dpm/home/y/x.root") == "/y/x.root")
        #expect(catalog.replicas(["lfn:/y/x.root"]).map(\.url).contains("davs://c/dpm/home/y/x.root"))
        // At no named site, and on this machine: nowhere else.
        #expect(catalog.replicas(["/data/x.root"]).map(\.url) == ["/data/x.root"])
        #expect(catalog.siteName("root://z:1//x") == "root://z:1" && catalog.siteName("/data/x") == "local")
    }

    @Test func replicasAreChosenInProportionWithAShareForExploring() {
        let replicas = ["A", "B", "C"].map { SiteCatalog.Replica(site: $0, url: $0, certain: true) }
        let scores = [
            ReplicaScore(bytesPerSecond: 90e6, known: true), .init(bytesPerSecond: 10e6, known: true),
            .init(excluded: true, bytesPerSecond: 500e6, known: true),
        ]
        var random = SeededRandom(seed: 3)
        var first = [0, 0, 0]
        for _ in 0..<20_000 {
            let order = ReplicaOrder.order(replicas, scores, &random)
            #expect(order.sorted() == [0, 1, 2] && order[2] == 2)
            first[order[0]] += 1
        }
        // 9 to 1, but for the twentieth that explores: 0.95 * 0.1 + 0.05 * 0.5 = 0.12.
        #expect(abs(Double(first[1]) / 20_000 - 0.12) < 0.01, "\(first)")
        // Errors count, and replicas that only the catalogue knows wait.
        let unsure = [
            SiteCatalog.Replica(site: "A", url: "a", certain: true), .init(site: "B", url: "b", certain: false),
        ]
        var earlier = 0
        for _ in 0..<2000 where ReplicaOrder.order(unsure, [.init(), .init()], &random)[0] == 1 { earlier += 1 }
        #expect(earlier > 10 && earlier < 120, "\(earlier)")
    }

    @Test func metalinksOfBothVersionsAreRead() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "beamline-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        func expand(_ name: String, _ text: String) throws -> [FileReplicas] {
            let path = directory.appending(path: name).path
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            return try FileLister().expand(path).files
        }
        let new = try expand(
            "a.meta4",
            """
            <?xml version="1.0" encoding="UTF-8"?>
            <metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="/store/a.root"><size>123</size>\
            <hash type="md5">00</hash>
            <hash type="adler32">0A1b2c3D</hash><url location="x" priority="2">root://b//store/a.root</url>
            <url priority="1"> davs://a/store/a.root </url>\
            <url priority="3">gsiftp://c/store/a.root</url></file></metalink>
            """)
        #expect(
            new == [
                FileReplicas(
                    ["davs://a/store/a.root", "root://b//store/a.root"], logicalName: "/store/a.root", size: 123,
                    adler32: "0a1b2c3d")
            ])
        let old = try expand(
            "a.metalink",
            """
            <metalink version="3.0"><files><file name="a"><size>5</size><verification>\
            <hash type="adler32">1</hash></verification><resources>
            <url type="xroot" preference="10">root://b//a</url><url preference="90">root://c//a</url></resources>\
            </file></files></metalink>
            """)
        #expect(old.map(\.urls) == [["root://c//a", "root://b//a"]] && old[0].size == 5)
        for text in ["", "<metalink><file name='x'/></metalink>", "<a/>", "no xml", "<metalink>"] {
            #expect(throws: InputError.self) { try expand("bad.meta4", text) }
        }
    }

    @Test func tokensAreFoundInTheirOrder() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "beamline-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        func file(_ name: String, _ text: String) throws -> String {
            let path = directory.appending(path: name).path
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            return path
        }
        func credentials(_ environment: [String: String], _ settings: SiteCredentials = .init()) -> Credentials {
            Credentials(settings) { environment[$0] }
        }
        let runtime = try file("bt_u\(geteuid())", "from-runtime\n")
        let named = try file("named", "  from-file\n")
        let all = ["BEARER_TOKEN": "direct", "BEARER_TOKEN_FILE": named, "XDG_RUNTIME_DIR": directory.path]
        #expect(try credentials(all).token()?.text == "direct")
        #expect(try credentials(all.filter { $0.key != "BEARER_TOKEN" }).token()?.text == "from-file")
        let found = try credentials(["XDG_RUNTIME_DIR": directory.path]).token()
        #expect(found?.text == "from-runtime" && found?.origin == runtime && found?.expires == nil)
        var own = SiteCredentials()
        own.tokenFile = try file("own", "own")
        #expect(try credentials(all, own).token()?.text == "own")
        // A renewed file is seen at the next look.
        _ = try file("own", "renewed")
        #expect(try credentials(all, own).token()?.text == "renewed")
        let lost = #expect(throws: InputError.self) {
            try credentials(["BEARER_TOKEN_FILE": directory.path + "/none"]).token()
        }
        #expect(lost?.description.contains("none") == true)
        // When it ends is reported, and an ended one is an error; the secret itself is in neither.
        func token(_ expires: Int) -> String {
            "eyJhbGciOiJub25lIn0." + Data("{\"exp\":\(expires)}".utf8).base64EncodedString().filter { $0 != "=" }
                + ".c2lnbmF0dXJl"
        }
        let soon = credentials(["BEARER_TOKEN": token(1000)])
        #expect(try soon.token(now: 900)?.expires == 1000)
        #expect(soon.state(now: 900).expires == 1000 && soon.state(now: 900).warning == nil)
        #expect(soon.state(now: 1000).warning?.contains("BEARER_TOKEN") == true)
        // What a worker reports of it; for a site that no catalogue names there is no token.
        var site = SiteDescription(name: "S", endpoints: ["roots://s"])
        site.credentials.tokenFile = try file("long", token(4_000_000_000))
        var catalog = SiteCatalog()
        catalog.sites = [site]
        let board = SiteBoard(catalog)
        _ = (board.access(url: "roots://s//a"), board.access(url: "roots://other//a"))
        board.forward(token: token(3_000_000_000))
        board.checkCredentials()
        #expect(board.reports().map(\.tokenExpires) == [4_000_000_000, nil])
        _ = try file("long", token(1))
        board.checkCredentials()
        #expect(board.reports()[0].credentialWarning?.contains("expired") == true)
        let ended = #expect(throws: InputError.self) { try soon.token(now: 1001) }
        #expect(ended?.code == .denied && ended?.description.contains("c2lnbmF0dXJl") == false)
    }
}
