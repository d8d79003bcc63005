import Cluster
import Training

/// A model whose weights are a hash of all the rows it saw, step by step: any row lost, doubled or out of its step shows.
struct SimModel {
    let manifest: TrainingManifest

    init(_ manifest: TrainingManifest) { self.manifest = manifest }

    static let initial: UInt64 = 0xB0A7

    /// What a lane adds in a step.
    static func rows(_ manifest: TrainingManifest, lane: Int, step: Int64) -> [RowReference] {
        let epoch = Int(step / manifest.stepsPerEpoch)
        var order = LaneOrder(
            manifest.lanes[lane], blocks: manifest.blocks, datasets: manifest.datasets, seed: manifest.split.seed,
            epoch: epoch, lane: lane)
        let batch = manifest.batch(ofLane: lane)
        order.skip(Int(step % manifest.stepsPerEpoch) * batch)
        var rows: [RowReference] = []
        while rows.count < batch, let row = order.next() { rows.append(row) }
        return rows
    }

    static func sum(_ manifest: TrainingManifest, lanes: [Int], step: Int64) -> UInt64 {
        lanes.reduce(0) { total, lane in
            rows(manifest, lane: lane, step: step).reduce(total) { $0 &+ mix(UInt64($1.block), UInt64($1.row)) }
        }
    }

    static func apply(_ digest: UInt64, _ sum: UInt64) -> UInt64 { mix(digest, sum) }

    /// What an epoch's end measures.
    static func metrics(_ digest: UInt64, epoch: Int) -> EpochMetrics {
        let part = PartMetrics(events: Int64(digest & 0xFFFF), loss: Double(digest >> 44), auc: 0.5, accuracy: 0.5)
        return EpochMetrics(epoch: epoch, train: part, validation: part)
    }

    func history() -> [UInt64] {
        var digests = [Self.initial]
        let lanes = Array(manifest.lanes.indices)
        for step in 0..<manifest.stepsPerEpoch * Int64(manifest.training.epochs) {
            digests.append(Self.apply(digests.last!, Self.sum(manifest, lanes: lanes, step: step)))
        }
        return digests
    }

    /// In the first epoch, and in the last.
    func seesEachRowOnce() -> Bool {
        for epoch in [0, Int64(manifest.training.epochs) - 1] {
            var seen: [String: Int] = [:]
            for step in epoch * manifest.stepsPerEpoch..<(epoch + 1) * manifest.stepsPerEpoch {
                for lane in manifest.lanes.indices {
                    for row in Self.rows(manifest, lane: lane, step: step) {
                        seen["\(row.block)/\(row.row)", default: 0] += 1
                    }
                }
            }
            let all = manifest.blocks.reduce(0) { $0 + $1.rows[0] }
            if seen.count != all || seen.values.contains(where: { $0 != 1 }) { return false }
        }
        return true
    }
}
