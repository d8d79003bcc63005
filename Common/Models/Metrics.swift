import Cluster
import Glibc

/// Loss, AUC and accuracy as integers that add exactly, in any order: 65,536 score bins a class.
package struct MetricSums {
    package static let bins = 65_536

    /// One score (binary), or one for each class against the rest.
    private let scores: Int
    /// Per score: bins of the rest, then bins of the class; then events, correct ones, the loss times 2^32, a number
    /// free for the caller, and the events whose score is no number.
    package let count: Int

    package init(outputs: Int) {
        scores = outputs
        count = outputs * 2 * Self.bins + 5
    }

    /// Adds one event to sums that lie at `sums`.
    package func add(_ output: UnsafePointer<Float>, label: Int32, to sums: UnsafeMutablePointer<Int64>) {
        let tail = scores * 2 * Self.bins
        var best = 0
        for score in 0..<scores {
            // A score that is no number is counted apart, and ends the training.
            if output[score] != output[score] {
                sums[tail + 4] += 1
                return
            }
            let bin = min(Self.bins - 1, Int(min(max(output[score], 0), 1) * Float(Self.bins)))
            let positive = scores == 1 ? label > 0 : label == score
            sums[(score * 2 + (positive ? 1 : 0)) * Self.bins + bin] += 1
            if output[score] > output[best] { best = score }
        }
        let truth: Float
        let correct: Bool
        if scores == 1 {
            truth = label > 0 ? output[0] : 1 - output[0]
            correct = (output[0] >= 0.5) == (label > 0)
        } else {
            truth = Int(label) < scores ? output[Int(label)] : 0
            correct = best == Int(label)
        }
        sums[tail] += 1
        sums[tail + 1] += correct ? 1 : 0
        // As the usual frameworks do, the score is kept away from 0.
        sums[tail + 2] += Int64((-log(Double(max(truth, 1e-7))) * 4_294_967_296).rounded())
    }

    /// Where the caller's own number lies.
    package var free: Int { count - 2 }
    /// Where the events without a score are counted.
    package var broken: Int { count - 1 }

    /// The metrics of reduced sums. The AUC of several classes is the mean of each against the rest; a tie counts half.
    package func metrics(_ sums: UnsafePointer<Int64>) -> PartMetrics {
        let tail = scores * 2 * Self.bins
        let events = sums[tail]
        guard events > 0 else { return PartMetrics(events: 0, loss: 0, auc: 0, accuracy: 0) }
        var areas: [Double] = []
        for score in 0..<scores {
            let negatives = sums + score * 2 * Self.bins
            let positives = negatives + Self.bins
            var below = 0.0
            var area = 0.0
            var all = 0.0
            for bin in 0..<Self.bins {
                area += Double(positives[bin]) * (below + 0.5 * Double(negatives[bin]))
                below += Double(negatives[bin])
                all += Double(positives[bin])
            }
            if below > 0, all > 0 { areas.append(area / (below * all)) }
        }
        return PartMetrics(
            events: events, loss: Double(sums[tail + 2]) / 4_294_967_296 / Double(events),
            auc: areas.isEmpty ? 0 : areas.reduce(0, +) / Double(areas.count),
            accuracy: Double(sums[tail + 1]) / Double(events))
    }
}
