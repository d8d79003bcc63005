import Bytes
import Cluster
import Foundation
import Storage
import TestKit
import Testing

/// A site with TLS and bearer tokens of its own issuer: XRootD with the SciTokens plugin.
@Suite(.serialized) struct SecureSiteTests {
    private static let content = [UInt8]("the bytes of a guarded file".utf8)

    private func access(_ sites: TestSites, token: String?) -> SiteAccess {
        var settings = SiteCredentials()
        settings.tokenFile = token.map { sites.directory.appending(path: $0).path }
        settings.certificates = sites.directory.appending(path: "secure-ca/certificates").path
        return SiteAccess("secure", credentials: Credentials(settings) { _ in nil })
    }

    private func read(_ url: String, _ access: SiteAccess) throws -> [UInt8] {
        let source = try openSource(url, at: access)
        return try source.read([ByteRange(offset: 0, length: source.size)]).bytes(0)
    }

    @Test func tokensOpenWhatTheyAreFor() throws {
        let sites = try TestSites(files: ["store/a": Self.content], options: ["--secure", "PORT"], folders: ["secure"])
        // XrdCl knows only the process's own directory of trusted authorities.
        setenv("X509_CERT_DIR", sites.directory.appending(path: "secure-ca/certificates").path, 1)
        let urls = ["roots", "https", "davs"].map { "\($0)://localhost:\(sites.spare)//store/a" }
        let secret = try String(contentsOf: sites.directory.appending(path: "secure-token"), encoding: .utf8).filter {
            !$0.isWhitespace
        }
        for url in urls {
            #expect(try read(url, access(sites, token: "secure-token")) == Self.content)
            #expect(try Checksum.adler32(url, at: access(sites, token: "secure-token")).count == 8)
            for (token, words) in [
                ("secure-token-expired", "expired"), ("secure-token-elsewhere", "denied access"),
                (nil, "denied access"),
                ("none", "none"),
            ] {
                let error = #expect(throws: InputError.self) { try read(url, access(sites, token: token)) }
                #expect(
                    error?.code == .denied && error?.description.contains(words) == true,
                    "\(url) \(token ?? ""): \(String(describing: error))")
                #expect(error?.description.contains(secret.suffix(40)) == false)
            }
            // A token that was renewed is used at the next open.
            let site = access(sites, token: "changing")
            try FileManager.default.copyItem(
                at: sites.directory.appending(path: "secure-token-expired"),
                to: sites.directory.appending(path: "changing"))
            #expect(throws: InputError.self) { try read(url, site) }
            try FileManager.default.removeItem(at: sites.directory.appending(path: "changing"))
            try FileManager.default.copyItem(
                at: sites.directory.appending(path: "secure-token"), to: sites.directory.appending(path: "changing"))
            #expect(try read(url, site) == Self.content)
            try FileManager.default.removeItem(at: sites.directory.appending(path: "changing"))
        }
        // Lists and patterns need it too.
        var site = SiteDescription(name: "SECURE", endpoints: ["roots://localhost:\(sites.spare)"])
        site.credentials.tokenFile = sites.directory.appending(path: "secure-token").path
        var catalog = SiteCatalog()
        catalog.sites = [site]
        try FileManager.default.copyItem(
            at: sites.directory.appending(path: "secure/store/a"),
            to: sites.directory.appending(path: "secure/store/a.root"))
        for pattern in ["store/a.root", "store/*.root", "store/", "sto?e/[ab].root"] {
            let found = try FileLister(board: SiteBoard(catalog)).expand("roots://localhost:\(sites.spare)//\(pattern)")
                .files
            #expect(found.map(\.url) == ["roots://localhost:\(sites.spare)//store/a.root"], "\(pattern)")
        }
        // Without TLS no token is shown, so that the site denies access.
        let open = #expect(throws: InputError.self) {
            try read("root://localhost:\(sites.spare)//store/a", access(sites, token: "secure-token"))
        }
        #expect(open?.code == .denied)
        // A host whose certificate nobody trusts gets no token either.
        let stranger = SiteAccess("secure", credentials: Credentials(.init()) { $0 == "BEARER_TOKEN" ? secret : nil })
        let distrust = #expect(throws: InputError.self) { try read(urls[1], stranger) }
        #expect(distrust?.description.lowercased().contains("certificate") == true, "\(String(describing: distrust))")
    }
}
