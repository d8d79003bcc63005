package import Cluster

/// Loss, AUC and accuracy as integers that add exactly, in any order: 65,536 score bins a class.
package struct MetricSums: Sendable {
    /// The bins of a score's range from 0 to 1.
    package static let bins = 65_536

    private let loss: Loss
    /// The number of sums. For each score come the bins of the other classes, then those of its own class; then the
    /// numbers of `Tail`.
    package let count: Int

    /// The sums after the bins.
    private enum Tail: Int, CaseIterable {
        case events, correct, loss
        case callerSlot, nanCount
    }

    /// The sums of a model with this loss.
    package init(_ loss: Loss) {
        self.loss = loss
        count = loss.outputs * 2 * Self.bins + Tail.allCases.count
    }

    private func index(_ tail: Tail) -> Int { loss.outputs * 2 * Self.bins + tail.rawValue }

    /// The index of a sum that the caller may use for a number of its own.
    package var callerSlot: Int { index(.callerSlot) }
    /// The index of the number of events whose score is NaN.
    package var nanCount: Int { index(.nanCount) }

    /// Adds one sample.
    ///
    /// - Parameters:
    ///   - scores: `[samples, outputs]`.
    ///   - sample: the row of `scores`.
    ///   - label: the sample's class.
    ///   - sums: `count` sums.
    package func add(_ scores: Span<Float>, sample: Int, label: Int32, to sums: inout MutableSpan<Int64>) {
        let outputs = loss.outputs
        let row = sample * outputs
        var best = 0
        for output in 0..<outputs {
            let score = scores[row + output]
            // A score that is not a number is counted apart, and ends the training.
            if score != score {
                sums[nanCount] += 1
                return
            }
            let bin = min(Self.bins - 1, Int(min(max(score, 0), 1) * Float(Self.bins)))
            let isOwn = outputs == 1 ? label > 0 : label == output
            sums[(output * 2 + (isOwn ? 1 : 0)) * Self.bins + bin] += 1
            if score > scores[row + best] { best = output }
        }
        let isCorrect = outputs == 1 ? (scores[row] >= 0.5) == (label > 0) : best == Int(label)
        sums[index(.events)] += 1
        sums[index(.correct)] += isCorrect ? 1 : 0
        sums[index(.loss)] += Loss.fixedPoint(probability: loss.probability(of: label, scores, sample: sample))
    }

    /// The metrics of reduced sums. The AUC of several classes is the mean of each against the rest; a tie counts half.
    ///
    /// - Parameter sums: `count` sums.
    package func metrics(_ sums: Span<Int64>) -> PartMetrics {
        let events = sums[index(.events)]
        guard events > 0 else { return PartMetrics(events: 0, loss: 0, auc: nil, accuracy: nil) }
        var areas: [Double] = []
        for output in 0..<loss.outputs {
            let negatives = output * 2 * Self.bins
            let positives = negatives + Self.bins
            var below = 0.0
            var area = 0.0
            var all = 0.0
            for bin in 0..<Self.bins {
                let own = Double(sums[positives + bin])
                let others = Double(sums[negatives + bin])
                area += own * (below + 0.5 * others)
                below += others
                all += own
            }
            if below > 0, all > 0 { areas.append(area / (below * all)) }
        }
        return PartMetrics(
            events: events, loss: Double(sums[index(.loss)]) / Loss.fixedPointUnit / Double(events),
            auc: areas.isEmpty ? nil : areas.reduce(0, +) / Double(areas.count),
            accuracy: Double(sums[index(.correct)]) / Double(events))
    }
}
