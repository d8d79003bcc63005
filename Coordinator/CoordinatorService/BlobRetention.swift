/// Since when blobs have been without a job that names them. A blob is removed when it was found so twice, at least a
/// day apart, and never meanwhile with a job: a ledger that has lost something, or is not the right one, costs no blob
/// before somebody can notice.
package struct BlobRetention: Codable, Sendable, Equatable {
    package static let newestFormat = 1
    /// Seconds between the first sighting and the removal.
    package static let delay = 86_400.0

    private var format = Self.newestFormat
    /// The first sightings, by digest; seconds since 1970.
    package private(set) var since: [String: Double] = [:]

    package init() {}

    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        format = try keys.decodeIfPresent(Int.self, forKey: .format) ?? 1
        since = try keys.decodeIfPresent([String: Double].self, forKey: .since) ?? [:]
    }

    /// Takes in one look at the blobs.
    ///
    /// - Parameters:
    ///   - unnamed: the blobs that are there and that no job names.
    ///   - now: seconds since 1970.
    /// - Returns: those to be removed, in the order of their names.
    package mutating func look(unnamed: Set<String>, now: Double) -> [String] {
        var expired: [String] = []
        var kept: [String: Double] = [:]
        for digest in unnamed {
            // A clock that was set back begins the delay again.
            let first = since[digest].map { $0 > now ? now : $0 } ?? now
            if now - first >= Self.delay { expired.append(digest) } else { kept[digest] = first }
        }
        since = kept
        return expired.sorted()
    }
}
