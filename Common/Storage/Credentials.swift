package import Bytes
package import Cluster
import FoundationEssentials
import Glibc

/// Finds what a site wants to see: a WLCG bearer token, an X.509 proxy, the certificates to trust.
///
/// They are looked for at each open, so that a renewed file is picked up. Secrets are never part of an error, a log
/// line or a report.
package struct Credentials: Sendable {
    private let settings: SiteCredentials
    private let environment: @Sendable (String) -> String?
    /// A token that the coordinator forwards for this job; kept in memory only.
    private let forwarded: String?
    /// Whether the process's own token may be shown there.
    private let discovers: Bool

    /// - Parameter discovers: false for a site that only an input names: nobody's token is for it.
    package init(
        _ settings: SiteCredentials = .init(), forwarded: String? = nil, discovers: Bool = true,
        environment: @escaping @Sendable (String) -> String? = { name in getenv(name).map { String(cString: $0) } }
    ) {
        self.settings = settings
        self.forwarded = forwarded
        self.discovers = discovers
        self.environment = environment
    }

    /// A token, where it was found, and when it expires.
    package struct Token: Sendable, Equatable {
        package var text: String
        package var origin: String
        /// Seconds since 1970; nil where the token has no expiry.
        package var expires: Double?
    }

    /// The site's own setting first, then the order of the WLCG bearer-token discovery.
    /// - Throws: where a named file cannot be read, or the token has expired.
    package func token(now: Double = Self.now()) throws(InputError) -> Token? {
        guard let found = try discover() else { return nil }
        if let expires = found.expires, expires <= now {
            throw InputError(
                .denied, "the bearer token has expired", object: found.origin, expected: "a token that is valid now",
                found: "one that ended \(Int(now - expires)) s ago",
                hint: "Renew it; it is read again at the next open.")
        }
        return found
    }

    private func discover() throws(InputError) -> Token? {
        if let path = settings.tokenFile { return try Self.read(path, "the site's token_file \(path)") }
        guard discovers else { return nil }
        if let forwarded { return Self.parse(forwarded, "the token forwarded by the coordinator") }
        if let text = environment("BEARER_TOKEN"), !text.isEmpty { return Self.parse(text, "BEARER_TOKEN") }
        if let path = environment("BEARER_TOKEN_FILE"), !path.isEmpty {
            return try Self.read(path, "BEARER_TOKEN_FILE \(path)")
        }
        let user = geteuid()
        var directories: [String] = []
        if let runtime = environment("XDG_RUNTIME_DIR"), !runtime.isEmpty { directories.append(runtime) }
        directories.append("/tmp")
        for directory in directories {
            let path = "\(directory)/bt_u\(user)"
            if access(path, F_OK) == 0 { return try Self.read(path, path) }
        }
        return nil
    }

    private static func read(_ path: String, _ origin: String) throws(InputError) -> Token {
        do { return parse(try localText(path, limit: 64 << 10), origin) } catch {
            throw InputError(.denied, "cannot read the bearer token: \(error.message)", object: origin)
        }
    }

    private static func parse(_ text: String, _ origin: String) -> Token {
        let token = String(text.drop { $0.isWhitespace }.prefix { !$0.isWhitespace })
        return Token(text: token, origin: origin, expires: expiry(token))
    }

    /// `exp` of a JSON web token's second part.
    private static func expiry(_ token: String) -> Double? {
        struct Claims: Decodable { var exp: Double? }
        let parts = token.split(separator: ".")
        guard parts.count == 3 else { return nil }
        var body = parts[1].replacing("-", with: "+").replacing("_", with: "/")
        while body.utf8.count % 4 != 0 { body += "=" }
        guard let data = Data(base64Encoded: String(body)) else { return nil }
        return (try? JSONDecoder().decode(Claims.self, from: data))?.exp
    }

    /// The X.509 proxy that the site's setting or the environment names.
    package var proxy: String? {
        if let path = settings.proxy ?? environment("X509_USER_PROXY"), !path.isEmpty { return path }
        let path = "/tmp/x509up_u\(geteuid())"
        return access(path, R_OK) == 0 ? path : nil
    }

    /// The directory of trusted certificates; nil for the system's.
    package var certificates: String? {
        if let path = settings.certificates ?? environment("X509_CERT_DIR"), !path.isEmpty { return path }
        return nil
    }

    /// A `root://` URL with what XrdCl shall send along. A token travels only where the connection is encrypted.
    func sign(_ url: String, avoiding servers: [String] = []) throws(InputError) -> String {
        var extras: [String] = []
        let location = StorageURL(url)
        if location.isEncrypted, let token = try token() { extras.append("authz=Bearer%20\(token.text)") }
        if let path = settings.proxy { extras.append("xrd.gsiusrpxy=\(path)") }
        if !servers.isEmpty {
            extras.append("tried=" + servers.joined(separator: ","))
            extras.append("triedrc=" + servers.map { _ in "ioerr" }.joined(separator: ","))
        }
        guard !extras.isEmpty else { return url }
        return url + (url.contains("?") ? "&" : "?") + extras.joined(separator: "&")
    }

    /// What a user should know before a job breaks: what is wrong with the token, and when it ends, seconds since 1970.
    package func state(now: Double = Self.now()) -> (warning: String?, expires: Double?) {
        do throws(InputError) { return (nil, try token(now: now)?.expires) } catch { return (error.description, nil) }
    }

    /// Seconds since 1970.
    package static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Text of a library may repeat the URL that it was given.
    static func withoutSecrets(_ text: String) -> String {
        guard let mark = text.firstRange(of: "authz=") else { return text }
        let rest = text[mark.upperBound...].drop { !"& )\"'".contains($0) }
        return text[..<mark.upperBound] + "..." + withoutSecrets(String(rest))
    }
}
