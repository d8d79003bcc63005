/// What the test part shows of one output of a model with classes. The signal is the output's own class (class 1 of a
/// model with one score), the background all others.
package struct OutputReport: Codable, Sendable, Equatable {
    /// The largest number of points of a ROC curve.
    package static let maxCurvePoints = 201
    /// The bins of the calibration, from 0 to 1.
    package static let calibrationBins = 20
    /// The signal efficiencies at which the background rejection is given, in tenths.
    package static let rejectionTenths = 1...9

    /// A ROC curve from (0, 0) to (1, 1): arrays of the same length. An event is accepted where its score is at least
    /// the threshold; the first threshold is above every score.
    package struct Curve: Codable, Sendable, Equatable {
        /// Strictly falling.
        package var thresholds: [Double] = []
        /// The share of the signal that is accepted; never falls.
        package var signal: [Double] = []
        /// The share of the background that is accepted; never falls.
        package var background: [Double] = []

        package init() {}
    }

    /// One bin of the score: how often events with such a score are of the output's class.
    package struct CalibrationBin: Codable, Sendable, Equatable {
        package var events: Int64 = 0
        /// The mean score of the events; nil where there is none.
        package var meanScore: Double?
        /// The share of the events that are of the output's class; nil where there is none.
        package var share: Double?

        package init() {}
    }

    /// How many background events there are for each that is accepted.
    package struct Rejection: Codable, Sendable, Equatable {
        /// The share of the signal that is accepted at least.
        package var efficiency: Double = 0
        /// 1 / (the share of the background that is accepted); nil where none is accepted, or one class is missing.
        package var rejection: Double?

        package init() {}
    }

    /// The Kolmogorov-Smirnov test of the scores of train and test: a small probability shows that the model treats
    /// the events that it was trained on otherwise.
    package struct Comparison: Codable, Sendable, Equatable {
        /// The largest distance of the two distribution functions, from 0 to 1.
        package var statistic: Double = 0
        /// The probability of a distance at least as large between samples of one distribution, by Kolmogorov's
        /// asymptotic formula.
        package var probability: Double = 1

        package init(statistic: Double, probability: Double) {
            self.statistic = statistic
            self.probability = probability
        }
    }

    /// Nil where one class is missing.
    package var roc: Curve?
    /// `calibrationBins` bins.
    package var calibration: [CalibrationBin] = []
    /// One for each of `rejectionTenths`.
    package var rejection: [Rejection] = []
    /// Train against test, of the events of the output's class; nil where one part has none.
    package var ownClass: Comparison?
    /// Train against test, of the events of all other classes; nil where one part has none.
    package var otherClasses: Comparison?

    package init() {}
}

// MARK: Coding: what is undefined is null, and what an earlier format lacks has its default

extension OutputReport {
    private enum CodingKeys: String, CodingKey {
        case roc, calibration, rejection
        case ownClass = "kolmogorovOwn"
        case otherClasses = "kolmogorovOthers"
    }

    package func encode(to encoder: any Encoder) throws {
        var keys = encoder.container(keyedBy: CodingKeys.self)
        try keys.encode(roc, forKey: .roc)
        try keys.encode(calibration, forKey: .calibration)
        try keys.encode(rejection, forKey: .rejection)
        try keys.encode(ownClass, forKey: .ownClass)
        try keys.encode(otherClasses, forKey: .otherClasses)
    }

    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        roc = try keys.decodeIfPresent(Curve.self, forKey: .roc)
        try keys.read(.calibration, into: &calibration)
        try keys.read(.rejection, into: &rejection)
        ownClass = try keys.decodeIfPresent(Comparison.self, forKey: .ownClass)
        otherClasses = try keys.decodeIfPresent(Comparison.self, forKey: .otherClasses)
    }
}

extension OutputReport.Curve {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.thresholds, into: &thresholds)
        try keys.read(.signal, into: &signal)
        try keys.read(.background, into: &background)
    }
}

extension OutputReport.CalibrationBin {
    private enum CodingKeys: CodingKey { case events, meanScore, share }

    package func encode(to encoder: any Encoder) throws {
        var keys = encoder.container(keyedBy: CodingKeys.self)
        try keys.encode(events, forKey: .events)
        try keys.encode(meanScore, forKey: .meanScore)
        try keys.encode(share, forKey: .share)
    }

    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.events, into: &events)
        meanScore = try keys.decodeIfPresent(Double.self, forKey: .meanScore)
        share = try keys.decodeIfPresent(Double.self, forKey: .share)
    }
}

extension OutputReport.Rejection {
    private enum CodingKeys: CodingKey { case efficiency, rejection }

    package func encode(to encoder: any Encoder) throws {
        var keys = encoder.container(keyedBy: CodingKeys.self)
        try keys.encode(efficiency, forKey: .efficiency)
        try keys.encode(rejection, forKey: .rejection)
    }

    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.efficiency, into: &efficiency)
        rejection = try keys.decodeIfPresent(Double.self, forKey: .rejection)
    }
}

extension OutputReport.Comparison {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init(statistic: 0, probability: 1)
        try keys.read(.statistic, into: &statistic)
        try keys.read(.probability, into: &probability)
    }
}
