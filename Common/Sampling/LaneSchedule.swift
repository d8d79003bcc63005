import Cluster

/// How one training walks the lanes of a data plan: how many samples each lane gives to a step, in which order, and how
/// many steps there are.
package struct LaneSchedule: Sendable, Equatable {
    package let blocks: [TrainingBlock]
    /// Each lane's pieces of blocks.
    package let lanes: [[LanePiece]]
    package let epochs: Int
    package let seed: UInt64
    /// About how many samples a lane's buffers mix; nil for all.
    package let shuffle: Int?
    /// The samples of each lane in each step of an epoch.
    package let step: StepSchedule
    /// For each lane, in order, the blocks that no earlier lane has a piece of: what is counted once a block is counted
    /// by this lane.
    package let ownedBlocks: [[Int]]

    /// Makes the schedule of a training.
    ///
    /// - Parameters:
    ///   - batch: about how many samples one step has, of all lanes; at least 1.
    ///   - shuffle: about how many samples a lane's buffers mix; nil for all.
    package init(
        blocks: [TrainingBlock], lanes: [[LanePiece]], batch: Int, epochs: Int, seed: UInt64, shuffle: Int?
    ) {
        self.blocks = blocks
        self.lanes = lanes
        self.epochs = epochs
        self.seed = seed
        self.shuffle = shuffle
        step = StepSchedule(samples: lanes.map { $0.reduce(0) { $0 + $1.rows.train.count } }, batch: max(1, batch))
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

    package var stepsPerEpoch: Int64 { Int64(step.steps) }

    /// The steps of the whole training.
    package var steps: Int64 { stepsPerEpoch * Int64(epochs) }

    /// The order of a lane's training samples in an epoch, after the samples of its first steps.
    package func order(ofLane lane: Int, epoch: Int, stepsDone: Int) -> LaneOrder {
        let key = RandomStream.laneOrder.key(seed: seed, UInt64(epoch), UInt64(lane))
        var order = LaneOrder(lanes[lane], blocks: blocks, shuffle: shuffle, key: key)
        order.skip(step.position(lane: lane, step: stepsDone))
        return order
    }
}
