/// How healthy a site is.
package enum SiteState: String, Codable, Sendable, CaseIterable { case healthy, excluded, probing }

/// What `beamline sites` shows.
package struct SiteStatus: Codable, Sendable, Equatable {
    package var site: String
    package var state: SiteState
    /// Seconds until it is tried again, where it is excluded.
    package var excludedFor: Double?
    package var files = 0
    package var reads: Int64 = 0
    package var bytes: Int64 = 0
    package var megabytesPerSecond = 0.0
    package var readsInFlight = 0
    package var maxReads = 0
    package var retries: Int64 = 0
    package var faults: [SiteReport.FaultCount] = []
    package var lastFault: String?
    /// Seconds within which half, 95 and 99 of a hundred reads were answered; the upper bound of a power of two of
    /// milliseconds.
    package var latency50: Double?
    package var latency95: Double?
    package var latency99: Double?
    package var longestWait = 0.0
    package var abandonedBytes: Int64 = 0
    package var warnings: [String] = []
    /// When the first of the workers' tokens ends, seconds since 1970.
    package var tokenExpires: Double?

    private enum CodingKeys: String, CodingKey {
        case site, state, excludedFor, files, reads, bytes, megabytesPerSecond, readsInFlight, retries, faults,
            lastFault, latency50, latency95, latency99, longestWait, abandonedBytes, warnings, tokenExpires
        case maxReads = "readsMost"
    }

    package init(site: String, state: SiteState) {
        self.site = site
        self.state = state
    }
}

// MARK: Decoding: what an earlier format lacks has its default

extension SiteStatus {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            site: try keys.decode(String.self, forKey: .site), state: try keys.decode(SiteState.self, forKey: .state))
        try keys.read(.excludedFor, into: &excludedFor)
        try keys.read(.files, into: &files)
        try keys.read(.reads, into: &reads)
        try keys.read(.bytes, into: &bytes)
        try keys.read(.megabytesPerSecond, into: &megabytesPerSecond)
        try keys.read(.readsInFlight, into: &readsInFlight)
        try keys.read(.maxReads, into: &maxReads)
        try keys.read(.retries, into: &retries)
        try keys.read(.faults, into: &faults)
        try keys.read(.lastFault, into: &lastFault)
        try keys.read(.latency50, into: &latency50)
        try keys.read(.latency95, into: &latency95)
        try keys.read(.latency99, into: &latency99)
        try keys.read(.longestWait, into: &longestWait)
        try keys.read(.abandonedBytes, into: &abandonedBytes)
        try keys.read(.warnings, into: &warnings)
        try keys.read(.tokenExpires, into: &tokenExpires)
    }
}
