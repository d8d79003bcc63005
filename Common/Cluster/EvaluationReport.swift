/// What the model of a finished training does on the parts train and test: for physicists, in `status --json` and in
/// the bundle's `metrics.json`.
///
/// All numbers follow from exact sums over the events, so they depend neither on the members of the training nor on the
/// host. What the data do not define is nil, and `null` in JSON.
package struct EvaluationReport: Codable, Sendable, Equatable {
    /// The bins of a score histogram, from 0 to 1.
    package static let histogramBins = 100
    /// The largest number of outputs of which histograms and curves are kept, and of classes of a confusion matrix.
    package static let maxDetailedOutputs = 64
    /// The largest number of classes that any report can have.
    package static let maxClasses = 1000

    /// One part of the split, over all its events.
    package struct Part: Codable, Sendable, Equatable {
        package var metrics = PartMetrics(events: 0, loss: 0, auc: nil, accuracy: nil)
        /// One for each output; nil for a model without classes, or with more than `maxDetailedOutputs` of them.
        package var histograms: [ScoreHistogram]?
        /// The number of events by true class, and within it by predicted class; nil as `histograms`.
        package var confusion: [[Int64]]?
        /// Of a model that learns a target; nil for one with classes.
        package var regression: RegressionReport?

        package init() {}
    }

    /// The numbers of events in each bin of an output's score. Of a model with one score its own class is class 1,
    /// and the others are class 0.
    package struct ScoreHistogram: Codable, Sendable, Equatable {
        /// Events of the output's class, `histogramBins` numbers.
        package var own: [Int64] = []
        /// Events of all other classes, `histogramBins` numbers.
        package var others: [Int64] = []

        package init(own: [Int64], others: [Int64]) {
            self.own = own
            self.others = others
        }
    }

    package static let newestFormat = 1
    private let format = Self.newestFormat

    /// The epoch at whose end the model was as it is reported, from 1: the last one, or with early stopping the best.
    package var epoch: Int?
    package var train = Part()
    package var test = Part()
    /// What the test part shows of each output; nil as the histograms.
    package var outputs: [OutputReport]?

    package init() {}
}

// MARK: Decoding: what an earlier format lacks has its default

extension EvaluationReport {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.document(
            "the report of an evaluation", newest: Self.newestFormat, keyedBy: CodingKeys.self)
        self.init()
        epoch = try keys.decodeIfPresent(Int.self, forKey: .epoch)
        try keys.read(.train, into: &train)
        try keys.read(.test, into: &test)
        outputs = try keys.decodeIfPresent([OutputReport].self, forKey: .outputs)
    }
}

extension EvaluationReport.Part {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.metrics, into: &metrics)
        histograms = try keys.decodeIfPresent([EvaluationReport.ScoreHistogram].self, forKey: .histograms)
        confusion = try keys.decodeIfPresent([[Int64]].self, forKey: .confusion)
        regression = try keys.decodeIfPresent(RegressionReport.self, forKey: .regression)
    }
}

extension EvaluationReport.ScoreHistogram {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init(own: [], others: [])
        try keys.read(.own, into: &own)
        try keys.read(.others, into: &others)
    }
}
