import Cluster

/// In which order a file's places are tried: in proportion to what the sites gave lately, with a share for exploring.
package enum ReplicaOrder {
    package struct Standing: Sendable, Equatable {
        package var excluded = false
        /// While something was under way; nil where nothing was measured yet.
        package var bytesPerSecond: Double?
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

    /// One time in so many, all usable places have the same chance.
    package static let explorePeriod = 20

    /// - Parameter standings: for each place, its site's.
    /// - Returns: indices of all places. Excluded ones come last; places that only the catalogue knows come after the certain ones
    ///   until a file was found there.
    package static func order(
        _ places: [SiteCatalog.Place], _ standings: [Standing], _ random: inout some RandomNumberGenerator
    ) -> [Int] {
        let measured = standings.compactMap(\.bytesPerSecond)
        let usual = measured.isEmpty ? 1 : measured.reduce(0, +) / Double(measured.count)
        let exploring = Int.random(in: 0..<explorePeriod, using: &random) == 0
        func weight(_ index: Int) -> Double {
            if exploring { return 1 }
            let standing = standings[index]
            let reliability = (1 - standing.errorRate) * (1 - standing.errorRate) * (1 - standing.absenceRate)
            return max(standing.bytesPerSecond ?? usual, usual / 1000) * max(reliability, 0.001)
        }
        func rank(_ index: Int) -> Int {
            if standings[index].excluded { return 2 }
            return places[index].certain || standings[index].known || exploring ? 0 : 1
        }
        var left = places.indices.map { (index: $0, weight: weight($0), rank: rank($0)) }
        var order: [Int] = []
        while let best = left.map(\.rank).min() {
            let candidates = left.indices.filter { left[$0].rank == best }
            var point = Double.random(in: 0..<1, using: &random) * candidates.reduce(0) { $0 + left[$1].weight }
            let chosen =
                candidates.first { candidate in
                    point -= left[candidate].weight
                    return point < 0
                } ?? candidates[candidates.count - 1]
            order.append(left.remove(at: chosen).index)
        }
        return order
    }
}
