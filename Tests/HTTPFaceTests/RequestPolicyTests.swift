import HTTPFace
import Testing

/// Whose requests are answered, and what they may hold.
@Suite struct RequestPolicyTests {
    private let policy = RequestPolicy(names: ["127.0.0.1", "Head"], allowed: ["proxy.example.org"])

    private func rejection(
        _ host: String?, _ origin: String? = nil, _ policy: RequestPolicy? = nil
    ) -> RequestPolicy.Rejection? {
        do throws(RequestPolicy.Rejection) {
            try (policy ?? self.policy).check(authority: host, origin: origin)
            return nil
        } catch { return error }
    }

    @Test(arguments: [
        "localhost", "LOCALHOST:8080", "localhost.", "a.localhost:1", "127.0.0.1:8080", "10.0.0.1", "[::1]:8080",
        "[2001:db8::7]", "head:8080", "HEAD.", "proxy.example.org:443", nil,
    ])
    func ownNamesAndAddresses(_ host: String?) { #expect(rejection(host) == nil) }

    @Test(arguments: [
        "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "xlocalhost", "head2",
        "", ":8080", "[", "[evil.example]", "example.org", "127.1",
    ])
    func otherNames(_ host: String) { #expect(rejection(host) == .host(host)) }

    @Test func aCertificatesWildcardStandsForOneLabel() {
        let policy = RequestPolicy(
            names: ["*.cluster.example.org"], allowed: ["Proxy.example.org:8443", "[2001:db8::7]:1", ""])
        for host in [
            "head.cluster.example.org:8080", "HEAD.cluster.example.org", "proxy.example.org", "proxy.example.org:1",
        ] {
            #expect(rejection(host, nil, policy) == nil, "\(host)")
        }
        for host in ["cluster.example.org", "a.b.cluster.example.org", "*.example.org", "example.org", ""] {
            #expect(rejection(host, nil, policy) == .host(host), "\(host)")
        }
    }

    @Test func anyNameWhereSoAllowed() {
        #expect(rejection("evil.example", nil, RequestPolicy(names: [], allowed: ["*"])) == nil)
        // The pages of others stay out.
        #expect(rejection("a.example", "http://b.example", RequestPolicy(names: [], allowed: ["*"])) != nil)
    }

    @Test func onlyPagesOfThisServer() {
        #expect(rejection("localhost:8080", "http://localhost:8080") == nil)
        #expect(rejection("localhost:8080", "https://LOCALHOST:8080") == nil)
        for origin in [
            "http://evil.example", "null", "", "http://localhost", "http://localhost:8081",
            "http://localhost:8080.evil.example", "file://", "http://evil.example/http://localhost:8080",
        ] {
            #expect(rejection("localhost:8080", origin) == .origin(origin), "\(origin)")
        }
        #expect(rejection(nil, "http://localhost") == .origin("http://localhost"))
    }

    @Test func mediaTypes() {
        let types = ["application/json"]
        let right = [
            nil, "application/json", "Application/JSON", "application/json; charset=utf-8", " application/json ;",
        ]
        for type in right { #expect(RequestPolicy.accepts(type, types), "\(type ?? "none")") }
        let wrong = [
            "text/plain", "application/x-www-form-urlencoded", "", "application/jsonp", "text/plain; application/json",
        ]
        for type in wrong { #expect(!RequestPolicy.accepts(type, types), "\(type)") }
    }

    @Test func methodsOfAPath() {
        let routes = RouteList(
            server: "s", version: "1",
            routes: [.init("POST", "/a/:b", ""), .init("GET", "/a/:b", ""), .init("GET", "/a/x/c", "")])
        #expect(routes.methods(at: "/a/1") == ["GET", "POST"] && routes.methods(at: "/a/x/c") == ["GET"])
        #expect(routes.methods(at: "/") == ["GET"])
        for path in ["/a", "/a/1/2", "", "/b/1", "a?b"] { #expect(routes.methods(at: path) == []) }
    }
}
