import Cluster

/// The events of one output by score, in `MetricSums.bins` bins from 0 to 1. The signal is the output's own class.
///
/// A bin has the scores from its number / 65,536 on, so that a cut at a bin's lower edge is exact; the last bin has 1
/// too. Within wider bins a fine bin counts as a whole where its centre is.
struct ScoreBins {
    /// Events of the output's class.
    let own: [Int64]
    /// Events of all other classes.
    let others: [Int64]
    private let ownCount: Int64
    private let otherCount: Int64

    /// - Parameters:
    ///   - own: `MetricSums.bins` numbers.
    ///   - others: `MetricSums.bins` numbers.
    init(own: [Int64], others: [Int64]) {
        self.own = own
        self.others = others
        ownCount = own.reduce(0, +)
        otherCount = others.reduce(0, +)
    }

    /// The wide bin in which the centre of a fine one is.
    private func wide(_ bin: Int, of count: Int) -> Int { (2 * bin + 1) * count / (2 * MetricSums.bins) }

    var histogram: EvaluationReport.ScoreHistogram {
        let count = EvaluationReport.histogramBins
        var (ownBins, otherBins) = ([Int64](repeating: 0, count: count), [Int64](repeating: 0, count: count))
        for bin in own.indices {
            ownBins[wide(bin, of: count)] += own[bin]
            otherBins[wide(bin, of: count)] += others[bin]
        }
        return .init(own: ownBins, others: otherBins)
    }

    /// Of each of the wide bins the events, the mean of their scores (each taken as its fine bin's centre), and the
    /// share of the output's class.
    var calibration: [OutputReport.CalibrationBin] {
        let count = OutputReport.calibrationBins
        var sums = [(own: Int64, all: Int64, score: Double)](repeating: (0, 0, 0), count: count)
        for bin in own.indices {
            let index = wide(bin, of: count)
            let all = own[bin] + others[bin]
            sums[index].own += own[bin]
            sums[index].all += all
            sums[index].score += Double(all) * (Double(bin) + 0.5)
        }
        return sums.map { sum in
            var result = OutputReport.CalibrationBin()
            result.events = sum.all
            if sum.all > 0 {
                result.meanScore = sum.score / Double(MetricSums.bins) / Double(sum.all)
                result.share = Double(sum.own) / Double(sum.all)
            }
            return result
        }
    }

    // MARK: Cuts

    /// What a cut accepts: the events of the bins from `bin` on.
    private struct Cut {
        var bin: Int
        var own: Int64 = 0
        var others: Int64 = 0
    }

    /// The cuts from the tightest, which accepts nothing, to the one that accepts everything; one for each bin that has
    /// events.
    private var cuts: [Cut] {
        var cut = Cut(bin: MetricSums.bins + 1)
        var all = [cut]
        for bin in own.indices.reversed() where own[bin] > 0 || others[bin] > 0 {
            cut = Cut(bin: bin, own: cut.own + own[bin], others: cut.others + others[bin])
            all.append(cut)
        }
        return all
    }

    /// The ROC curve; nil where one class is missing. Where it has more than `OutputReport.maxCurvePoints` points,
    /// those are kept that come first after equal distances along it (in the sum of both shares).
    var curve: OutputReport.Curve? {
        guard ownCount > 0, otherCount > 0 else { return nil }
        func signal(_ cut: Cut) -> Double { Double(cut.own) / Double(ownCount) }
        func background(_ cut: Cut) -> Double { Double(cut.others) / Double(otherCount) }
        var kept = cuts
        let steps = OutputReport.maxCurvePoints - 1
        if kept.count > steps + 1 {
            let all = kept
            kept = [all[0]]
            var next = 1
            for cut in all.dropFirst().dropLast() where next < steps {
                let distance = (signal(cut) + background(cut)) / 2
                guard distance >= Double(next) / Double(steps) else { continue }
                kept.append(cut)
                // One long piece of the curve may pass several of the equal distances.
                // The product may be rounded to just below the distance that was reached.
                next = max(next, Int(distance * Double(steps))) + 1
            }
            kept.append(all[all.count - 1])
        }
        var curve = OutputReport.Curve()
        curve.thresholds = kept.map { Double($0.bin) / Double(MetricSums.bins) }
        curve.signal = kept.map(signal)
        curve.background = kept.map(background)
        return curve
    }

    /// The background rejection at the tightest cut that accepts at least each tenth of the signal.
    var rejection: [OutputReport.Rejection] {
        let cuts = cuts
        return OutputReport.rejectionTenths.map { tenths in
            var result = OutputReport.Rejection()
            result.efficiency = Double(tenths) / 10
            guard ownCount > 0, otherCount > 0,
                let cut = cuts.first(where: { $0.own * 10 >= ownCount * Int64(tenths) }), cut.others > 0
            else { return result }
            result.rejection = Double(otherCount) / Double(cut.others)
            return result
        }
    }
}
