import Cluster
import ConfigurationFiles
import Testing

@Suite struct SitesFileTests {
    @Test func aWholeFileIsRead() throws {
        let catalog = try SitesFile.parse(
            """
            limits: {read_seconds: 20}
            cache: {dir: /scratch/beamline, bytes: 50 GB}
            sites:
              - name: T2_A
                endpoints: ["root://a.example:1094/", "davs://a.example"]
                prefixes: [/eos/cms/, /]
                limits: {open_seconds: 5, reads: 8, megabytes_in_flight: 64, gap_kilobytes: 0, request_megabytes: 2}
                credentials: {token_file: /run/token, proxy: /tmp/x509, certificates: /etc/grid-security/certificates}
            """)
        let site = try #require(catalog.site(named: "T2_A"))
        #expect(site.endpoints == ["root://a.example:1094", "davs://a.example"] && site.prefixes == ["/eos/cms", ""])
        #expect(
            site.limits.openSeconds == 5 && site.limits.readSeconds == 20 && site.limits.bytesInFlight == 64 << 20
                && site.limits.gapBytes == 0)
        #expect(site.credentials.tokenFile == "/run/token" && site.credentials.proxy == "/tmp/x509")
        #expect(catalog.cache == .init(directory: "/scratch/beamline", bytes: 50_000_000_000))
        #expect(catalog.limits(ofSite: "root://other").readSeconds == 20)
    }

    @Test(arguments: [
        ("sites:\n  - {name: a b, endpoints: [root://x]}", 2, "no spaces"),
        ("sites:\n  - {name: a}", 2, "endpoints is missing"),
        ("sites:\n  - {name: a, endpoints: [ftp://x]}", 2, "root://host:port"),
        (
            "sites:\n  - {name: a, endpoints: [root://x]}\n  - {name: b, endpoints: [root://x]}", 3,
            "the site a has it too"
        ),
        ("sites:\n  - {name: a, endpoints: [root://x], prefixes: [store]}", 2, "absolute path"),
        ("limits: {read_seconds: 0}", 1, "from 1"), ("cache: {dir: /x, bytes: few}", 1, "50 GB"),
        ("colour: red", 1, "unknown key"),
    ])
    func everyMistakeHasItsLine(_ text: String, _ line: Int, _ words: String) {
        let error = #expect(throws: FileMistakes.self) { try SitesFile.parse(text) }
        #expect(
            error?.mistakes.contains { $0.line == line && $0.text.contains(words) } == true,
            "\(String(describing: error))")
    }
}
