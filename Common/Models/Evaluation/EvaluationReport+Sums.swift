package import Cluster

extension EvaluationReport {
    /// The report of a model, from the reduced sums over the whole parts.
    ///
    /// - Parameters:
    ///   - sums: of the detail `report`.
    ///   - train: its `count` sums over the training part.
    ///   - test: those over the test part.
    package init(_ sums: MetricSums, train: Span<Int64>, test: Span<Int64>) {
        self.init()
        self.train.metrics = sums.metrics(train)
        self.test.metrics = sums.metrics(test)
        if let values = sums.values {
            let halvings = values.halvings([self.train, self.test].compactMap(\.metrics.regression))
            self.train.regression = values.report(train, halvings: halvings)
            self.test.regression = values.report(test, halvings: halvings)
            return
        }
        guard sums.loss.outputs <= Self.maxDetailedOutputs else { return }
        self.train.confusion = sums.confusion(train)
        self.test.confusion = sums.confusion(test)
        var histograms: (train: [ScoreHistogram], test: [ScoreHistogram]) = ([], [])
        var outputs: [OutputReport] = []
        for output in 0..<sums.loss.outputs {
            let trained = sums.scores(ofOutput: output, train)
            let tested = sums.scores(ofOutput: output, test)
            histograms.train.append(trained.histogram)
            histograms.test.append(tested.histogram)
            var report = OutputReport()
            report.roc = tested.curve
            report.calibration = tested.calibration
            report.rejection = tested.rejection
            report.ownClass = KolmogorovTest.compare(trained.own, tested.own)
            report.otherClasses = KolmogorovTest.compare(trained.others, tested.others)
            outputs.append(report)
        }
        self.train.histograms = histograms.train
        self.test.histograms = histograms.test
        self.outputs = outputs
    }
}
