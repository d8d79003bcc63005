import Cluster

/// How one training walks the lanes of a data plan: how many samples each lane gives to a step, in which order, and how
/// many steps there are.
package struct LaneSchedule: Sendable, Equatable {
    package let blocks: [TrainingBlock]
    /// Each lane's pieces of blocks.
    package let lanes: [[LanePiece]]
    /// Samples of all lanes in one step.
    package let batch: Int
    package let epochs: Int
    package let seed: UInt64
    /// As many as the longest lane needs for its training samples.
    package let stepsPerEpoch: Int64
    /// One more than the largest index of a dataset.
    package let datasets: Int
    /// For each lane, in order, the blocks that no earlier lane has a piece of: what is counted once a block is counted
    /// by this lane.
    package let ownedBlocks: [[Int]]

    package init(blocks: [TrainingBlock], lanes: [[LanePiece]], batch: Int, epochs: Int, seed: UInt64) {
        self.blocks = blocks
        self.lanes = lanes
        self.batch = batch
        self.epochs = epochs
        self.seed = seed
        datasets = (blocks.map(\.dataset).max() ?? -1) + 1
        stepsPerEpoch =
            lanes.indices.map { lane in
                let batch = max(1, Self.batch(batch, ofLane: lane, of: lanes.count))
                return Int64((lanes[lane].reduce(0) { $0 + $1.rows.train.count } + batch - 1) / batch)
            }.max() ?? 0
        var isOwned = [Bool](repeating: false, count: blocks.count)
        ownedBlocks = lanes.map { pieces in
            var own: [Int] = []
            for piece in pieces where blocks.indices.contains(piece.block) && !isOwned[piece.block] {
                isOwned[piece.block] = true
                own.append(piece.block)
            }
            return own.sorted()
        }
    }

    /// Steps of the whole training.
    package var steps: Int64 { stepsPerEpoch * Int64(epochs) }

    /// Samples that a lane gives to each step: floor((l+1) B/L) - floor(l B/L) of a batch B and L lanes.
    package func batch(ofLane lane: Int) -> Int { Self.batch(batch, ofLane: lane, of: lanes.count) }

    private static func batch(_ batch: Int, ofLane lane: Int, of lanes: Int) -> Int {
        (lane + 1) * batch / lanes - lane * batch / lanes
    }

    /// The order of a lane's training samples in an epoch, after the samples of its first steps.
    package func order(ofLane lane: Int, epoch: Int, stepsDone: Int) -> LaneOrder {
        var order = LaneOrder(
            lanes[lane], blocks: blocks, datasets: datasets, seed: seed, epoch: epoch, lane: lane)
        order.skip(stepsDone * batch(ofLane: lane))
        return order
    }
}
