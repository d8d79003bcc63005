import NIOCore

/// Whose requests a server answers: those that name it by a name of its own, and that no page of another server sent.
/// Pure.
///
/// A browser on the server's machine reaches what listens on its loopback address, and no token keeps its pages out.
/// They may call this server by its address (then `Origin` names the page's server) or by a name of their own that
/// they let point to it (then `Host` has that name). Programs send no `Origin`.
package struct RequestPolicy: Sendable {
    /// Why a request is not answered.
    package enum Rejection: Error, Equatable {
        case host(String)
        case origin(String)
    }

    /// Names of a server, in lower case.
    private let names: Set<String>
    private let takesAnyName: Bool

    /// - Parameters:
    ///   - names: the server's names beside `localhost`: where it listens, its machine's, its certificate's.
    ///   - allowed: the names that an operator gives it; `*` allows any.
    package init(names: [String], allowed: [String] = []) {
        self.names = Set(names.map(Self.canonical) + allowed.map(Self.host)).subtracting([""])
        takesAnyName = allowed.contains("*")
    }

    /// - Parameters:
    ///   - authority: the request's `Host`: a name or an address, with or without a port; nil where there is none, as
    ///     in old health checks, and never from a browser.
    ///   - origin: the request's `Origin`.
    package func check(authority: String?, origin: String?) throws(Rejection) {
        if let authority, !takesAnyName, !isOwn(Self.host(authority)) { throw .host(authority) }
        guard let origin else { return }
        let own = ["http://", "https://"].map { $0 + (authority ?? "").lowercased() }
        guard authority != nil, own.contains(origin.lowercased()) else { throw .origin(origin) }
    }

    /// An address may be any: only a name can be made to point elsewhere.
    private func isOwn(_ host: String) -> Bool {
        // The name `*.example.org` of a certificate stands for each with one label more.
        let wildcard = host.firstIndex(of: ".").map { "*" + host[$0...] }
        return host == "localhost" || host.hasSuffix(".localhost") || names.contains(host)
            || wildcard.map(names.contains) == true || (try? SocketAddress(ipAddress: host, port: 0)) != nil
    }

    /// The host of `name:port`, `[address]:port`, or of either without a port.
    private static func host(_ authority: String) -> String {
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            return canonical(String(authority[authority.index(after: authority.startIndex)..<end]))
        }
        return canonical(String(authority.prefix { $0 != ":" }))
    }

    private static func canonical(_ name: String) -> String {
        let name = name.lowercased()
        return name.hasSuffix(".") ? String(name.dropLast()) : name
    }

    /// Whether a body may be of one of these media types.
    ///
    /// - Parameters:
    ///   - contentType: the request's `Content-Type`; nil, which several clients of the Open Inference Protocol send,
    ///     is taken for the right one.
    ///   - types: media types in lower case, without parameters.
    package static func accepts(_ contentType: String?, _ types: [String]) -> Bool {
        guard let contentType else { return true }
        let type = contentType.prefix { $0 != ";" }.lowercased()
        return types.contains(String(type.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()))
    }
}
