/// What a worker saw of a site lately, as far as it matters for choosing among replicas.
package struct ReplicaScore: Sendable, Equatable {
    /// The coordinator excluded the site.
    package var excluded = false
    /// The rate while reads were under way; nil where nothing was measured yet.
    package var bytesPerSecond: Double?
    /// Share of the attempts that failed.
    package var errorRate = 0.0
    /// Share of the files asked for that were not there.
    package var absenceRate = 0.0
    /// Something was read there.
    package var known = false

    package init(
        excluded: Bool = false, bytesPerSecond: Double? = nil, errorRate: Double = 0, absenceRate: Double = 0,
        known: Bool = false
    ) {
        self.excluded = excluded
        self.bytesPerSecond = bytesPerSecond
        self.errorRate = errorRate
        self.absenceRate = absenceRate
        self.known = known
    }
}
