import Cluster

/// Deals the samples of a data plan to its lanes: a pure function of the seed, the number of lanes, and the blocks in
/// their canonical order.
///
/// Each dataset's blocks are laid end to end in a seeded order, and the line is cut into one stretch a lane. So every
/// lane has the same number of each dataset's samples, give or take one, in each part, and its samples come from as few
/// blocks as that allows.
package enum LaneDealer {
    /// Deals the blocks' samples.
    ///
    /// - Parameters:
    ///   - blocks: all blocks of the data plan.
    ///   - lanes: L, at least 1.
    ///   - seed: the split's seed.
    /// - Returns: for each lane its pieces of blocks; each sample of each part is in exactly one of them.
    package static func deal(_ blocks: [TrainingBlock], lanes: Int, seed: UInt64) -> [[LanePiece]] {
        var dealt = [[LanePiece]](repeating: [], count: lanes)
        var loads = PartTable(repeating: [Int](repeating: 0, count: lanes))
        var members = [[Int]](repeating: [], count: (blocks.map(\.dataset).max() ?? -1) + 1)
        for (index, block) in blocks.enumerated() { members[block.dataset].append(index) }
        for (dataset, own) in members.enumerated() where !own.isEmpty {
            var random = SeededRandom(seed: RandomStream.laneDeal.key(seed: seed, UInt64(dataset)))
            let line = random.permutation(own.count).map { own[$0] }
            var cutters = PartTable.make { part in
                let total = own.reduce(0) { $0 + blocks[$1].rows[part] }
                return LineCutter(shares(of: total, loads: &loads[part]))
            }
            for block in line {
                for (lane, rows) in pieces(of: blocks[block].rows, &cutters) {
                    dealt[lane].append(LanePiece(block: block, rows: rows))
                }
            }
        }
        return dealt
    }

    /// Cuts one block; the lanes that have a piece of it, ascending.
    private static func pieces(
        of rows: PartTable<Int>, _ cutters: inout PartTable<LineCutter>
    ) -> [(lane: Int, rows: PartTable<Range<Int>>)] {
        var pieces: [(lane: Int, rows: PartTable<Range<Int>>)] = []
        for part in SplitPart.allCases {
            for (lane, range) in cutters[part].take(rows[part]) {
                if let index = pieces.firstIndex(where: { $0.lane == lane }) {
                    pieces[index].rows[part] = range
                } else {
                    var own = PartTable(repeating: 0..<0)
                    own[part] = range
                    pieces.append((lane, own))
                }
            }
        }
        return pieces.sorted { $0.lane < $1.lane }
    }

    /// Equal shares of `total`; what is left over goes to the lanes that have least so far.
    private static func shares(of total: Int, loads: inout [Int]) -> [Int] {
        let (whole, rest) = total.quotientAndRemainder(dividingBy: loads.count)
        var shares = [Int](repeating: whole, count: loads.count)
        let current = loads
        for lane in loads.indices.sorted(by: { (current[$0], $0) < (current[$1], $1) }).prefix(rest) {
            shares[lane] += 1
        }
        for lane in loads.indices { loads[lane] += shares[lane] }
        return shares
    }
}

/// Cuts a line of samples, block after block, into the lanes' stretches.
private struct LineCutter {
    private let shares: [Int]
    private var lane = 0
    private var used = 0

    init(_ shares: [Int]) { self.shares = shares }

    /// The lanes' ranges of the next `count` samples, numbered from 0 in their block.
    mutating func take(_ count: Int) -> [(lane: Int, rows: Range<Int>)] {
        var ranges: [(lane: Int, rows: Range<Int>)] = []
        var start = 0
        while start < count {
            while used == shares[lane] { (lane, used) = (lane + 1, 0) }
            let size = min(count - start, shares[lane] - used)
            ranges.append((lane, start..<start + size))
            used += size
            start += size
        }
        return ranges
    }
}
