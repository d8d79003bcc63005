import Cluster
import Sampling

/// A model whose weights are a hash of all the rows it saw, step by step: any row lost, doubled or out of its step
/// shows.
struct SimModel {
    let schedule: LaneSchedule

    init(_ schedule: LaneSchedule) { self.schedule = schedule }

    static let initial: UInt64 = 0xB0A7

    /// A row of a block's training part.
    struct Row: Hashable {
        var block: Int
        var row: Int
    }

    /// What a lane adds in a step.
    static func rows(_ schedule: LaneSchedule, lane: Int, step: Int64) -> [Row] {
        let inEpoch = Int(step % schedule.stepsPerEpoch)
        var order = schedule.order(ofLane: lane, epoch: Int(step / schedule.stepsPerEpoch), stepsDone: inEpoch)
        var rows: [Row] = []
        for _ in 0..<schedule.step.count(lane: lane, step: inEpoch) {
            guard let next = order.next() else { break }
            rows.append(Row(block: schedule.lanes[lane][Int(next.piece)].block, row: Int(next.row)))
        }
        return rows
    }

    static func sum(_ schedule: LaneSchedule, lanes: [Int], step: Int64) -> UInt64 {
        lanes.reduce(0) { total, lane in
            rows(schedule, lane: lane, step: step).reduce(total) { $0 &+ mix(UInt64($1.block), UInt64($1.row)) }
        }
    }

    static func apply(_ digest: UInt64, _ sum: UInt64) -> UInt64 { mix(digest, sum) }

    /// What an epoch's end measures.
    static func metrics(_ digest: UInt64, epoch: Int) -> EpochMetrics {
        let part = PartMetrics(events: Int64(digest & 0xFFFF), loss: Double(digest >> 44), auc: 0.5, accuracy: 0.5)
        return EpochMetrics(epoch: epoch, train: part, validation: part)
    }

    /// What the end of the training measures.
    static func report(_ digest: UInt64) -> EvaluationReport {
        let metrics = metrics(digest, epoch: 0)
        var report = EvaluationReport()
        (report.train.metrics, report.test.metrics) = (metrics.train, metrics.validation)
        return report
    }

    func history() -> [UInt64] {
        var digests = [Self.initial]
        let lanes = Array(schedule.lanes.indices)
        for step in 0..<schedule.steps {
            digests.append(Self.apply(digests.last!, Self.sum(schedule, lanes: lanes, step: step)))
        }
        return digests
    }

    /// In the first epoch, and in the last.
    func seesEachRowOnce() -> Bool {
        for epoch in [0, Int64(schedule.epochs) - 1] {
            var seen: [Row: Int] = [:]
            for step in epoch * schedule.stepsPerEpoch..<(epoch + 1) * schedule.stepsPerEpoch {
                for lane in schedule.lanes.indices {
                    for row in Self.rows(schedule, lane: lane, step: step) {
                        seen[row, default: 0] += 1
                    }
                }
            }
            let all = schedule.blocks.reduce(0) { $0 + $1.rows.train }
            if seen.count != all || seen.values.contains(where: { $0 != 1 }) { return false }
        }
        return true
    }
}
