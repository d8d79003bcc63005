package import Cluster
package import Features

/// Loss, AUC and accuracy as integers that add exactly, in any order: 65,536 score bins a class. For the report at the
/// end of a training also the confusion matrix. Of a model that learns a target its errors instead.
package struct MetricSums: Sendable {
    /// The bins of a score's range from 0 to 1.
    package static let bins = 65_536

    /// What is counted.
    package enum Detail: Sendable {
        /// What an epoch's metrics need.
        case epoch
        /// What `EvaluationReport` needs.
        case report
    }

    package let detail: Detail
    let loss: Loss
    /// The side of the confusion matrix; 0 where none is counted.
    private let confusionSide: Int
    /// The bins of scores, which come first; none where a target is learnt.
    private let binCount: Int
    /// What is counted of a target; nil for classes.
    let values: ValueSums?
    /// The number of sums. For each score come the bins of the other classes, then those of its own class; then the
    /// numbers of `Tail`; then the confusion matrix, true class by true class, or what is counted of a target.
    package let count: Int

    /// The sums after the bins.
    private enum Tail: Int, CaseIterable {
        case events, correct, loss
        case callerSlot, nanCount
    }

    /// The sums of a model with this loss.
    package init(_ loss: Loss, detail: Detail = .epoch) {
        self.loss = loss
        self.detail = detail
        switch loss.scores {
        case .binary, .categorical:
            switch detail {
            case .epoch: confusionSide = 0
            case .report: confusionSide = loss.classes <= EvaluationReport.maxDetailedOutputs ? loss.classes : 0
            }
            binCount = loss.outputs * 2 * Self.bins
            values = nil
            count = binCount + Tail.allCases.count + confusionSide * confusionSide
        case .value(let value):
            let values = ValueSums(value, detail, first: Tail.allCases.count)
            (confusionSide, binCount) = (0, 0)
            self.values = values
            count = Tail.allCases.count + values.count
        }
    }

    private func index(_ tail: Tail) -> Int { binCount + tail.rawValue }

    /// The index of a sum that the caller may use for a number of its own.
    package var callerSlot: Int { index(.callerSlot) }
    /// The index of the number of events whose score is NaN, or whose error is too large to be counted.
    package var nanCount: Int { index(.nanCount) }

    /// Adds a batch's samples.
    ///
    /// - Parameters:
    ///   - scores: `[samples, outputs]`.
    ///   - batch: what the scores are of, with labels or targets.
    ///   - sums: `count` sums.
    package func add(_ scores: Span<Float>, _ batch: Batch, to sums: inout MutableSpan<Int64>) {
        precondition(loss.fits(batch))
        guard let values else {
            for sample in 0..<batch.sampleCount {
                add(scores, sample: sample, label: batch.labels[sample], to: &sums)
            }
            return
        }
        for sample in 0..<batch.sampleCount {
            let isCounted = values.add(score: scores[sample], target: batch.targets[sample], to: &sums)
            sums[isCounted ? index(.events) : nanCount] += 1
        }
    }

    /// Adds one sample of a model with classes.
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
        let truth = outputs == 1 ? (label > 0 ? 1 : 0) : Int(label)
        let predicted = outputs == 1 ? (scores[row] >= 0.5 ? 1 : 0) : best
        sums[index(.events)] += 1
        sums[index(.correct)] += predicted == truth ? 1 : 0
        sums[index(.loss)] += loss.fixedPoint(scores, sample: sample, label: label)
        if truth >= 0, truth < confusionSide { sums[confusionIndex(truth) + predicted] += 1 }
    }

    /// The metrics of reduced sums. The AUC of several classes is the mean of each against the rest; a tie counts half.
    ///
    /// - Parameter sums: `count` sums.
    package func metrics(_ sums: Span<Int64>) -> PartMetrics {
        let events = sums[index(.events)]
        if let values {
            return PartMetrics(
                events: events, loss: events > 0 ? loss.total(values.losses(sums)) / Double(events) : 0, auc: nil,
                accuracy: nil, regression: values.metrics(sums, events: events))
        }
        let areas = (0..<loss.outputs).map { area(ofOutput: $0, sums) }
        let defined = areas.compactMap { $0 }
        return PartMetrics(
            events: events,
            loss: events > 0 ? Double(sums[index(.loss)]) / Loss.fixedPointUnit / Double(events) : 0,
            auc: defined.isEmpty ? nil : defined.reduce(0, +) / Double(defined.count),
            classAUC: loss.outputs > 1 ? areas : nil,
            accuracy: events > 0 ? Double(sums[index(.correct)]) / Double(events) : nil)
    }

    /// The area under the ROC curve of an output's class against the rest; nil where one of both has no event.
    private func area(ofOutput output: Int, _ sums: Span<Int64>) -> Double? {
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
        // Of very many events the products are rounded.
        return below > 0 && all > 0 ? min(1, area / (below * all)) : nil
    }

    // MARK: For the report

    /// The scores of one output, from reduced sums.
    ///
    /// - Parameter sums: `count` sums.
    func scores(ofOutput output: Int, _ sums: Span<Int64>) -> ScoreBins {
        let start = output * 2 * Self.bins
        return ScoreBins(
            own: (0..<Self.bins).map { sums[start + Self.bins + $0] }, others: (0..<Self.bins).map { sums[start + $0] })
    }

    /// The numbers of events by true class, and within it by predicted class, from reduced sums; nil where they are not
    /// counted.
    ///
    /// - Parameter sums: `count` sums.
    func confusion(_ sums: Span<Int64>) -> [[Int64]]? {
        guard confusionSide > 0 else { return nil }
        return (0..<confusionSide).map { truth in
            (0..<confusionSide).map { sums[confusionIndex(truth) + $0] }
        }
    }

    /// The index of the first number of a true class.
    private func confusionIndex(_ truth: Int) -> Int {
        binCount + Tail.allCases.count + truth * confusionSide
    }
}
