package import Cluster
import Yams

/// Reads a sites file: named sites with their endpoints, prefixes, limits and credentials; limits for all others; a
/// disk cache.
package struct SitesFile: CheckedYAML {
    package var mistakes: [FileMistake] = []

    /// - Throws: every mistake with its line.
    package static func parse(_ text: String) throws(FileMistakes) -> SiteCatalog {
        var parser = SitesFile()
        return try parser.whole(text, "sites file") { $0.catalog($1) }
    }

    private mutating func catalog(_ root: Node) -> SiteCatalog {
        let fields = fields(root, "sites file", known: ["sites", "limits", "cache"])
        var catalog = SiteCatalog()
        if let node = fields["limits"] { catalog.limits = limits(node, .init()) }
        if let node = fields["cache"] { catalog.cache = cache(node) }
        guard let node = fields["sites"] else { return catalog }
        guard let list = node.sequence else {
            fail(node, "sites: expected a list of sites; found \(Self.kind(node))")
            return catalog
        }
        var endpoints: [String: String] = [:]
        for item in list {
            guard let site = site(item, catalog.limits) else { continue }
            if catalog.site(named: site.name) != nil { fail(item, "site: the name \(site.name) is duplicated") }
            for endpoint in site.endpoints {
                if let other = endpoints.updateValue(site.name, forKey: endpoint) {
                    fail(
                        item, "site \(site.name): the endpoint \(endpoint) is duplicated: the site \(other) has it too")
                }
            }
            catalog.sites.append(site)
        }
        return catalog
    }

    private mutating func site(_ node: Node, _ usual: SiteLimits) -> SiteDescription? {
        let fields = fields(
            node, "site", known: ["name", "endpoints", "prefixes", "limits", "credentials"],
            required: ["name", "endpoints"])
        guard let name = text(fields["name"], "site: name") else { return nil }
        if name.contains(where: { $0.isWhitespace || $0 == "/" }) {
            fail(fields["name"]!, "site: name: expected no spaces and slashes; found \(name.debugDescription)")
        }
        var site = SiteDescription(name: name, endpoints: [])
        for endpoint in texts(fields["endpoints"], "site \(name): endpoints") ?? [] {
            let location = StorageURL(endpoint)
            guard location.kind == .xrootd || location.kind == .http, !location.host.isEmpty, location.path == "/"
            else {
                fail(
                    fields["endpoints"]!,
                    "site \(name): endpoints: expected root://host:port, https://host or the like; "
                        + "found \(endpoint.debugDescription)"
                )
                continue
            }
            site.endpoints.append(location.endpoint)
        }
        if site.endpoints.isEmpty, let node = fields["endpoints"] {
            fail(node, "site \(name): endpoints: expected at least one; found none")
        }
        for prefix in texts(fields["prefixes"], "site \(name): prefixes") ?? [] {
            guard prefix.hasPrefix("/") else {
                fail(
                    fields["prefixes"]!,
                    "site \(name): prefixes: expected an absolute path; found \(prefix.debugDescription)")
                continue
            }
            // The logical name brings its own slash.
            var path = prefix[...]
            while path.hasSuffix("/") { path = path.dropLast() }
            site.prefixes.append(String(path))
        }
        site.limits = fields["limits"].map { limits($0, usual) } ?? usual
        if let node = fields["credentials"] { site.credentials = credentials(node, name) }
        return site
    }

    private mutating func limits(_ node: Node, _ usual: SiteLimits) -> SiteLimits {
        let known = [
            "open_seconds", "read_seconds", "reads", "megabytes_in_flight", "gap_kilobytes", "request_megabytes",
        ]
        let fields = fields(node, "limits", known: known)
        var limits = usual
        limits.openSeconds = integer(fields["open_seconds"], "limits: open_seconds", 1...3600) ?? limits.openSeconds
        limits.readSeconds = integer(fields["read_seconds"], "limits: read_seconds", 1...3600) ?? limits.readSeconds
        limits.maxReads = integer(fields["reads"], "limits: reads", 1...100_000) ?? limits.maxReads
        limits.bytesInFlight =
            integer(fields["megabytes_in_flight"], "limits: megabytes_in_flight", 1...65_536).map { $0 << 20 }
            ?? limits.bytesInFlight
        limits.gapBytes =
            integer(fields["gap_kilobytes"], "limits: gap_kilobytes", 0...65_536).map { $0 << 10 } ?? limits.gapBytes
        // XRootD servers reject vectors near 2 GiB.
        limits.requestBytes =
            integer(fields["request_megabytes"], "limits: request_megabytes", 1...1536).map { $0 << 20 }
            ?? limits.requestBytes
        return limits
    }

    private mutating func credentials(_ node: Node, _ name: String) -> SiteCredentials {
        let fields = fields(node, "credentials", known: ["token_file", "proxy", "certificates"])
        var credentials = SiteCredentials()
        credentials.tokenFile = path(fields["token_file"], "site \(name): credentials: token_file")
        credentials.proxy = path(fields["proxy"], "site \(name): credentials: proxy")
        credentials.certificates = path(fields["certificates"], "site \(name): credentials: certificates")
        return credentials
    }

    private mutating func cache(_ node: Node) -> SiteCatalog.Cache? {
        let fields = fields(node, "cache", known: ["dir", "bytes"], required: ["dir", "bytes"])
        guard let directory = path(fields["dir"], "cache: dir"), let bytes = bytes(fields["bytes"], "cache: bytes")
        else { return nil }
        return .init(directory: directory, bytes: bytes)
    }

    private mutating func path(_ node: Node?, _ what: String) -> String? {
        guard let node, let path = text(node, what) else { return nil }
        if !path.hasPrefix("/") { fail(node, "\(what): expected an absolute path; found \(path.debugDescription)") }
        return path
    }

    /// A number of bytes, or one with a unit: 50 GB, 512 MiB.
    private mutating func bytes(_ node: Node?, _ what: String) -> Int? {
        guard let node else { return nil }
        let units: [(String, Double)] = [
            ("KiB", 1024), ("MiB", 1_048_576), ("GiB", 1_073_741_824), ("TiB", 1_099_511_627_776), ("kB", 1e3),
            ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("", 1),
        ]
        let text = (node.string ?? "").filter { $0 != " " && $0 != "_" }
        for (unit, factor) in units where text.hasSuffix(unit) {
            guard let number = Double(text.dropLast(unit.count)), number * factor >= 1_048_576, number * factor < 1e18
            else { break }
            return Int(number * factor)
        }
        fail(node, "\(what): expected a size of at least 1 MiB, like 50 GB; found \(Self.kind(node))")
        return nil
    }
}
