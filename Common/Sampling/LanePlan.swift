import Cluster

/// Deals a job's blocks to its lanes: a pure function of the seed, L, and the canonical list of blocks with their rows.
package enum LanePlan {
    /// Every dataset's pieces are dealt on their own, so that each lane holds the classes in proportion.
    package static func deal(_ blocks: [TrainingBlock], lanes count: Int, seed: UInt64) -> [[LanePiece]] {
        let used = blocks.indices.filter { blocks[$0].rows.values.contains { $0 > 0 } }
        // Fewer than four blocks a lane: cut them, or lanes would be very unequal.
        let cuts = used.isEmpty ? 1 : max(1, (4 * count + used.count - 1) / used.count)
        var lanes = [[LanePiece]](repeating: [], count: count)
        let datasets = (blocks.map(\.dataset).max() ?? -1) + 1
        var total = [Int](repeating: 0, count: count)
        for dataset in 0..<datasets {
            var pieces: [LanePiece] = []
            for block in used where blocks[block].dataset == dataset {
                for cut in 0..<cuts {
                    let rows = blocks[block].rows.map { $0 * cut / cuts..<$0 * (cut + 1) / cuts }
                    if rows.values.contains(where: { !$0.isEmpty }) {
                        pieces.append(LanePiece(block: block, rows: rows))
                    }
                }
            }
            var random = SeededRandom(seed: RandomStream.laneDeal.key(seed: seed, UInt64(dataset)))
            var load = [Int](repeating: 0, count: count)
            for index in random.permutation(pieces.count) {
                let piece = pieces[index]
                let lane = (0..<count).min { (load[$0], total[$0], $0) < (load[$1], total[$1], $1) }!
                lanes[lane].append(piece)
                load[lane] += piece.rows.train.count
                total[lane] += piece.rows.train.count
            }
        }
        return lanes
    }
}
