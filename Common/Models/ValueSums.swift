import Cluster
import Features

/// What `MetricSums` counts of a model that learns a target: its errors as exact sums in units of the loss's spread,
/// and for the report the residuals in 65,536 bins and the predictions by target.
struct ValueSums: Sendable {
    let loss: ValueLoss
    /// The number of sums.
    let count: Int
    private let hasReport: Bool
    /// The index of the first sum among the caller's.
    private let first: Int

    /// The exact sums that come first.
    private enum Term: Int, CaseIterable {
        /// Of the residuals' sizes and squares.
        case sizes, squares
        /// Of the targets, less the training part's mean, and of their squares.
        case targets, targetSquares
        case losses
    }

    /// The fine bins of the residuals from -`reach` to `reach` spreads.
    private static let bins = MetricSums.bins
    private static let reach = 8.0
    /// Halvings of the reach after which each of the report's bins is one fine bin.
    private static let maxHalvings = 10
    /// Of each of the report's bins of the target: events, and the exact sums of targets and predictions.
    private static let binSums = 1 + 2 * ExactSum.digitCount

    init(_ loss: ValueLoss, _ detail: MetricSums.Detail, first: Int) {
        self.loss = loss
        self.first = first
        switch detail {
        case .epoch: hasReport = false
        case .report: hasReport = true
        }
        let terms = Term.allCases.count * ExactSum.digitCount
        count = terms + (hasReport ? 2 + Self.bins + RegressionReport.targetBins * Self.binSums : 0)
    }

    private func index(_ term: Term) -> Int { first + term.rawValue * ExactSum.digitCount }
    /// The indices of the residuals below the reach, in the fine bins, and from the reach on.
    private var below: Int { first + Term.allCases.count * ExactSum.digitCount }
    private var fine: Int { below + 1 }
    private var above: Int { fine + Self.bins }
    private func targetBin(_ bin: Int) -> Int { above + 1 + bin * Self.binSums }

    /// Adds one sample.
    ///
    /// - Parameter value: in the target's units.
    /// - Returns: whether it could be added: its score is a number, and its errors are not beyond `ExactSum.limit`.
    func add(score: Float, target value: Float, to sums: inout MutableSpan<Int64>) -> Bool {
        let target = loss.target
        let residual = (target.prediction(score) - Double(value)) / loss.spread
        let centred = (Double(value) - target.mean) / loss.spread
        guard let size = ExactSum(abs(residual)), let square = ExactSum(residual * residual),
            let shift = ExactSum(centred), let shiftSquare = ExactSum(centred * centred),
            let summand = ExactSum(loss.counted(score: score, target: value))
        else { return false }
        size.add(to: &sums, at: index(.sizes))
        square.add(to: &sums, at: index(.squares))
        shift.add(to: &sums, at: index(.targets))
        shiftSquare.add(to: &sums, at: index(.targetSquares))
        summand.add(to: &sums, at: index(.losses))
        guard hasReport else { return true }
        if residual < -Self.reach {
            sums[below] += 1
        } else if residual >= Self.reach {
            sums[above] += 1
        } else {
            let position = (residual + Self.reach) * (Double(Self.bins) / (2 * Self.reach))
            sums[fine + min(Self.bins - 1, Int(position))] += 1
        }
        let bin = targetBin(bin(of: Double(value)))
        sums[bin] += 1
        shift.add(to: &sums, at: bin + 1)
        // It is the sum of two that were small enough.
        ExactSum(centred + residual)?.add(to: &sums, at: bin + 1 + ExactSum.digitCount)
        return true
    }

    /// The bin of the report in which a target lies.
    private func bin(of value: Double) -> Int {
        let count = RegressionReport.targetBins
        let position = (value - loss.target.min) / (loss.target.max - loss.target.min) * Double(count)
        return position >= Double(count) ? count - 1 : position > 0 ? Int(position) : 0
    }

    // MARK: Results

    /// The summed loss of reduced sums.
    func losses(_ sums: Span<Int64>) -> ExactSum { ExactSum(sums, at: index(.losses)) }

    /// The errors of reduced sums over this number of events.
    func metrics(_ sums: Span<Int64>, events: Int64) -> RegressionMetrics {
        guard events > 0 else { return RegressionMetrics() }
        func value(_ term: Term) -> Double { ExactSum(sums, at: index(term)).value }
        let number = Double(events)
        let (shift, squares) = (value(.targets), value(.targetSquares))
        let variation = squares - shift * shift / number
        // Targets that are all alike leave nothing but what was rounded.
        let varies = variation > squares * 0x1p-46
        return RegressionMetrics(
            mae: value(.sizes) / number * loss.spread, rmse: (value(.squares) / number).squareRoot() * loss.spread,
            r2: varies ? 1 - value(.squares) / variation : nil)
    }

    /// The range of the residuals' histogram in halvings of the reach: the smallest that has four times the root mean
    /// squared error of each part.
    func halvings(_ parts: [RegressionMetrics]) -> Int {
        let error = (parts.compactMap(\.rmse).max() ?? 0) / loss.spread
        var (halvings, range) = (0, Self.reach)
        while halvings < Self.maxHalvings, range / 2 >= 4 * error { (halvings, range) = (halvings + 1, range / 2) }
        return halvings
    }

    /// The report of reduced sums of the detail `report`.
    func report(_ sums: Span<Int64>, halvings: Int) -> RegressionReport {
        var report = RegressionReport()
        let inside = Self.bins >> halvings
        let start = (Self.bins - inside) / 2
        func events(_ bins: Range<Int>) -> Int64 { bins.reduce(0) { $0 + sums[fine + $1] } }
        let width = inside / RegressionReport.histogramBins
        report.residuals.range = Self.reach * loss.spread / Double(1 << halvings)
        report.residuals.counts = (0..<RegressionReport.histogramBins).map { bin in
            events(start + bin * width..<start + (bin + 1) * width)
        }
        report.residuals.below = sums[below] + events(0..<start)
        report.residuals.above = sums[above] + events(start + inside..<Self.bins)
        let step = (loss.target.max - loss.target.min) / Double(RegressionReport.targetBins)
        report.targets = (0..<RegressionReport.targetBins).map { index in
            let first = targetBin(index)
            func mean(_ digits: Int) -> Double {
                ExactSum(sums, at: digits).value / Double(sums[first]) * loss.spread + loss.target.mean
            }
            var bin = RegressionReport.TargetBin()
            bin.low = loss.target.min + Double(index) * step
            bin.high = loss.target.min + Double(index + 1) * step
            bin.events = sums[first]
            if bin.events > 0 {
                bin.meanTarget = mean(first + 1)
                bin.meanPrediction = mean(first + 1 + ExactSum.digitCount)
            }
            return bin
        }
        return report
    }
}
