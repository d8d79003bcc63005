/// What reading from a site may cost, and how long it may take.
package struct SiteLimits: Codable, Sendable, Equatable {
    /// Seconds for an open, a stat, a listing or a checksum.
    package var openSeconds = 15
    /// Seconds for one read request.
    package var readSeconds = 30
    /// Reads of all workers together that may be under way at once; `SitePolicy` stays below.
    package var maxReads = 256
    /// Bytes that one worker has asked of the site and not got yet.
    package var bytesInFlight = 128 << 20
    /// Ranges nearer than this are read as one, bytes.
    package var gapBytes = 4 << 10
    /// One request's bytes at most.
    package var requestBytes = 8 << 20
    package init() {}

    private enum CodingKeys: String, CodingKey {
        case openSeconds, readSeconds, bytesInFlight, gapBytes, requestBytes
        case maxReads = "readsMost"
    }
}

/// Where a site's credentials are found on a worker. Paths, never the secrets themselves.
package struct SiteCredentials: Codable, Sendable, Equatable {
    package var tokenFile: String?
    package var proxy: String?
    package var certificates: String?
    package init() {}
}

/// A named storage site: several endpoints that give the same files.
package struct SiteDescription: Codable, Sendable, Equatable {
    package var name: String
    /// `root://host:port`, `davs://host`, ...
    package var endpoints: [String]
    /// A file's path at the site is one of these followed by its logical name.
    package var prefixes: [String] = []
    package var limits = SiteLimits()
    package var credentials = SiteCredentials()

    package init(name: String, endpoints: [String]) {
        self.name = name
        self.endpoints = endpoints
    }
}

/// The sites file: which sites there are. A URL at none of them is a site of its own.
package struct SiteCatalog: Codable, Sendable, Equatable {
    /// A worker's cache of stored bytes on its disk.
    package struct Cache: Codable, Sendable, Equatable {
        package var directory: String
        package var bytes: Int
        package init(directory: String, bytes: Int) {
            self.directory = directory
            self.bytes = bytes
        }
    }

    package static let newestFormat = 1
    private let format = Self.newestFormat

    package var sites: [SiteDescription] = []
    /// For sites that are not named.
    package var limits = SiteLimits()
    package var cache: Cache?

    package init() {}

    /// The site with this name; nil where the catalogue has none.
    package func site(named name: String) -> SiteDescription? { sites.first { $0.name == name } }

    /// The site that an endpoint belongs to.
    package func site(of url: StorageURL) -> SiteDescription? { sites.first { $0.endpoints.contains(url.endpoint) } }

    /// The name of the site that a URL belongs to; its endpoint where no named site has that.
    package func siteName(_ url: String) -> String {
        let location = StorageURL(url)
        return site(of: location)?.name ?? location.endpoint
    }

    /// The limits of a site; those for unnamed sites where the catalogue does not have it.
    package func limits(ofSite name: String) -> SiteLimits { site(named: name)?.limits ?? limits }

    /// The path that replicas of one file have in common: at a named site, what follows the site's prefix.
    package func logicalName(_ url: String) -> String {
        let location = StorageURL(url)
        guard let site = site(of: location) else { return location.path }
        let prefix = site.prefixes.filter { location.path.hasPrefix($0 + "/") }.max { $0.utf8.count < $1.utf8.count }
        return prefix.map { String(location.path.dropFirst($0.count)) } ?? location.path
    }

    /// The URLs that a file may be read from: those given, then those at which the named sites would have it.
    package func replicas(_ urls: [String]) -> [Replica] {
        var replicas: [Replica] = []
        func add(_ url: String, _ site: String, certain: Bool) {
            if !replicas.contains(where: { $0.url == url }) {
                replicas.append(Replica(site: site, url: url, certain: certain))
            }
        }
        for url in urls where StorageURL(url).kind != .logical {
            add(url, siteName(url), certain: true)
            // Another endpoint of the same site has the same files.
            let location = StorageURL(url)
            if let site = site(of: location) {
                for endpoint in site.endpoints {
                    add(StorageURL.join(endpoint, location.path), site.name, certain: true)
                }
            }
        }
        for url in urls where localPath(of: url) == nil {
            let name = logicalName(url)
            for site in sites where !replicas.contains(where: { $0.site == site.name && $0.certain }) {
                for prefix in site.prefixes {
                    for endpoint in site.endpoints {
                        add(StorageURL.join(endpoint, prefix + name), site.name, certain: false)
                    }
                }
            }
        }
        return replicas
    }

    /// A URL that a file may be read from.
    package struct Replica: Sendable, Hashable {
        package var site: String
        package var url: String
        /// Whether the user or a replica list named it; otherwise the catalogue only expects it there.
        package var certain: Bool

        package init(site: String, url: String, certain: Bool) {
            self.site = site
            self.url = url
            self.certain = certain
        }
    }
}

// MARK: Decoding: what an earlier format lacks has its default

extension SiteCatalog {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.document("the sites file", newest: Self.newestFormat, keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.sites, into: &sites)
        try keys.read(.limits, into: &limits)
        try keys.read(.cache, into: &cache)
    }
}

extension SiteDescription {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            name: try keys.decode(String.self, forKey: .name),
            endpoints: try keys.decode([String].self, forKey: .endpoints))
        try keys.read(.prefixes, into: &prefixes)
        try keys.read(.limits, into: &limits)
        try keys.read(.credentials, into: &credentials)
    }
}

extension SiteLimits {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.openSeconds, into: &openSeconds)
        try keys.read(.readSeconds, into: &readSeconds)
        try keys.read(.maxReads, into: &maxReads)
        try keys.read(.bytesInFlight, into: &bytesInFlight)
        try keys.read(.gapBytes, into: &gapBytes)
        try keys.read(.requestBytes, into: &requestBytes)
    }
}

extension SiteCredentials {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.tokenFile, into: &tokenFile)
        try keys.read(.proxy, into: &proxy)
        try keys.read(.certificates, into: &certificates)
    }
}
