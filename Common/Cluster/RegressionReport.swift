/// What one part of the split shows of a model that learns a target. All values are in the target's units.
package struct RegressionReport: Codable, Sendable, Equatable {
    /// The bins of the residuals' histogram.
    package static let histogramBins = 64
    /// The bins of the target.
    package static let targetBins = 20

    /// The events by residual: prediction less target.
    package struct Residuals: Codable, Sendable, Equatable {
        /// The first bin begins at -range, the last ends at it. It is the same for train and test.
        package var range = 0.0
        /// `histogramBins` bins of equal width.
        package var counts: [Int64] = []
        /// Events whose residual is below -range.
        package var below: Int64 = 0
        /// Events whose residual is `range` or above.
        package var above: Int64 = 0

        package init() {}
    }

    /// The events whose target lies from `low` to `high`; the first and the last bin have those beyond them too.
    package struct TargetBin: Codable, Sendable, Equatable {
        package var low = 0.0
        package var high = 0.0
        package var events: Int64 = 0
        /// nil where there is no event.
        package var meanTarget: Double?
        /// nil where there is no event.
        package var meanPrediction: Double?

        package init() {}
    }

    package var residuals = Residuals()
    /// `targetBins` bins of equal width from the smallest to the largest target of the training part.
    package var targets: [TargetBin] = []

    package init() {}
}

// MARK: Coding: what is undefined is null, and what an earlier format lacks has its default

extension RegressionReport {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.residuals, into: &residuals)
        try keys.read(.targets, into: &targets)
    }
}

extension RegressionReport.Residuals {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.range, into: &range)
        try keys.read(.counts, into: &counts)
        try keys.read(.below, into: &below)
        try keys.read(.above, into: &above)
    }
}

extension RegressionReport.TargetBin {
    private enum CodingKeys: CodingKey { case low, high, events, meanTarget, meanPrediction }

    package func encode(to encoder: any Encoder) throws {
        var keys = encoder.container(keyedBy: CodingKeys.self)
        try keys.encode(low, forKey: .low)
        try keys.encode(high, forKey: .high)
        try keys.encode(events, forKey: .events)
        try keys.encode(meanTarget, forKey: .meanTarget)
        try keys.encode(meanPrediction, forKey: .meanPrediction)
    }

    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.low, into: &low)
        try keys.read(.high, into: &high)
        try keys.read(.events, into: &events)
        meanTarget = try keys.decodeIfPresent(Double.self, forKey: .meanTarget)
        meanPrediction = try keys.decodeIfPresent(Double.self, forKey: .meanPrediction)
    }
}
