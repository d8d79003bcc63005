package import Cluster

/// The order in which a file's replicas are asked: at random, in proportion to what their sites gave lately, with a
/// share for exploring.
package enum ReplicaOrder {
    /// In one of so many orders all usable replicas have the same chance.
    package static let explorePeriod = 20

    /// - Parameter scores: for each replica, its site's.
    /// - Returns: indices of all replicas. Excluded ones come last; those that only the catalogue knows come after the
    ///   certain ones until a file was found there.
    package static func order(
        _ replicas: [SiteCatalog.Replica], _ scores: [ReplicaScore], _ random: inout some RandomNumberGenerator
    ) -> [Int] {
        let measured = scores.compactMap(\.bytesPerSecond)
        let usual = measured.isEmpty ? 1 : measured.reduce(0, +) / Double(measured.count)
        let exploring = Int.random(in: 0..<explorePeriod, using: &random) == 0
        func weight(_ index: Int) -> Double {
            if exploring { return 1 }
            let score = scores[index]
            let reliability = (1 - score.errorRate) * (1 - score.errorRate) * (1 - score.absenceRate)
            return max(score.bytesPerSecond ?? usual, usual / 1000) * max(reliability, 0.001)
        }
        func rank(_ index: Int) -> Int {
            if scores[index].excluded { return 2 }
            return replicas[index].certain || scores[index].known || exploring ? 0 : 1
        }
        var left = replicas.indices.map { (index: $0, weight: weight($0), rank: rank($0)) }
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
