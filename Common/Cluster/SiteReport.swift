import Bytes

/// How an access to a site failed.
package enum SiteFault: String, Codable, Sendable, CaseIterable {
    case unreachable, deadline, missing, changed, broken
    /// The site denied access; published with the old spelling.
    case denied = "refused"

    /// Whether the fault concerns the site, not only one file.
    package var concernsSite: Bool { self == .unreachable || self == .deadline || self == .broken }
}

/// What one worker saw of one site since it started: totals, so that a lost message loses nothing.
package struct SiteReport: Codable, Sendable, Equatable {
    package var site: String
    package var opens: Int64 = 0
    package var reads: Int64 = 0
    package var bytes: Int64 = 0
    /// Reads that another replica had to take over, and opens tried again.
    package var retries: Int64 = 0
    package var faults: [FaultCount] = []
    /// Failures since the last success.
    package var failuresInRow = 0
    package var lastFault: String?
    /// Reads by their time: below 1 ms, 2 ms, 4 ms, ...
    package var latencies = [Int64](repeating: 0, count: 24)
    /// Under way now.
    package var readsInFlight = 0
    package var readsWaiting = 0
    /// How long the oldest has been under way, seconds.
    package var longestWait = 0.0
    /// Buffers of reads that were given up and may still be written.
    package var abandonedBytes: Int64 = 0
    /// What is wrong with this worker's credentials for the site.
    package var credentialWarning: String?
    /// When its token there ends, seconds since 1970; nil where it has none, or none that ends.
    package var tokenExpires: Double?

    /// How often accesses failed with one kind of fault.
    package struct FaultCount: Codable, Sendable, Equatable {
        package var fault: SiteFault
        package var count: Int64
        package init(_ fault: SiteFault, _ count: Int64) {
            self.fault = fault
            self.count = count
        }
    }

    package init(site: String) { self.site = site }

    /// Bytes of the last fault's text at most.
    package static let maxFault = 1000

    /// Counts an access that failed.
    /// - Parameter text: the failure for people, kept as `lastFault`, shortened.
    package mutating func count(_ fault: SiteFault, _ text: String) {
        if let index = faults.firstIndex(where: { $0.fault == fault }) {
            faults[index].count += 1
        } else {
            faults.append(FaultCount(fault, 1))
        }
        lastFault = text.shortened(to: Self.maxFault)
        if fault.concernsSite { failuresInRow += 1 }
    }

    /// Counts a read that succeeded: its bytes, and its seconds from request to answer in `latencies`.
    package mutating func countRead(bytes: Int, seconds: Double) {
        reads += 1
        self.bytes += Int64(bytes)
        failuresInRow = 0
        var bucket = 0
        var bound = 0.001
        while seconds >= bound, bucket < latencies.count - 1 {
            bucket += 1
            bound *= 2
        }
        latencies[bucket] += 1
    }

    /// The number of faults that concern the site, not only one file.
    package var siteFaults: Int64 { faults.reduce(0) { $0 + ($1.fault.concernsSite ? $1.count : 0) } }
}

/// What a worker may do at a site.
package struct SiteDirective: Codable, Sendable, Equatable {
    package var site: String
    /// Reads under way at once; at least 1.
    package var reads: Int
    /// Other replicas of a file come first.
    package var excluded: Bool

    package init(site: String, reads: Int, excluded: Bool) {
        self.site = site
        self.reads = reads
        self.excluded = excluded
    }
}

// MARK: Decoding: what an earlier format lacks has its default

extension SiteReport {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init(site: try keys.decode(String.self, forKey: .site))
        try keys.read(.opens, into: &opens)
        try keys.read(.reads, into: &reads)
        try keys.read(.bytes, into: &bytes)
        try keys.read(.retries, into: &retries)
        try keys.read(.faults, into: &faults)
        try keys.read(.failuresInRow, into: &failuresInRow)
        try keys.read(.lastFault, into: &lastFault)
        try keys.read(.latencies, into: &latencies)
        try keys.read(.readsInFlight, into: &readsInFlight)
        try keys.read(.readsWaiting, into: &readsWaiting)
        try keys.read(.longestWait, into: &longestWait)
        try keys.read(.abandonedBytes, into: &abandonedBytes)
        try keys.read(.credentialWarning, into: &credentialWarning)
        try keys.read(.tokenExpires, into: &tokenExpires)
    }
}
