/// What a server serves: the answer to those who ask for something else. Pure.
package struct RouteList: Sendable {
    /// A method and a path.
    package struct Route: Sendable, Codable, Equatable {
        package let method: String
        /// Parts that begin with a colon stand for any.
        package let path: String
        /// What it is for, in a few words.
        package let purpose: String

        package init(_ method: String, _ path: String, _ purpose: String) {
            self.method = method
            self.path = path
            self.purpose = purpose
        }
    }

    /// What the server is.
    package let server: String
    package let version: String
    package let routes: [Route]

    /// - Parameter server: what it is, as in "a beamline coordinator".
    package init(server: String, version: String, routes: [Route]) {
        self.server = server
        self.version = version
        self.routes = routes
    }

    /// The methods that a path takes, sorted; empty where nothing is served there.
    package func methods(at path: String) -> [String] {
        path == "/" ? ["GET"] : Set(routes.filter { Self.matches($0.path, path) }.map(\.method)).sorted()
    }

    private static func matches(_ pattern: String, _ path: String) -> Bool {
        let (expected, found) = (pattern.split(separator: "/"), path.split(separator: "/"))
        return expected.count == found.count && zip(expected, found).allSatisfy { $0.hasPrefix(":") || $0 == $1 }
    }
}
