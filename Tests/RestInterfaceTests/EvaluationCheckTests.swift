import Cluster
import CoordinatorService
import Testing

/// What a worker reports of an evaluation is checked before it is kept.
@Suite struct EvaluationCheckTests {
    /// A report as a model with one score gives it.
    private static var report: EvaluationReport {
        var report = EvaluationReport()
        let counts = [Int64](repeating: 1, count: EvaluationReport.histogramBins)
        report.test.histograms = [.init(own: counts, others: counts)]
        report.test.confusion = [[60, 40], [30, 70]]
        report.test.metrics = PartMetrics(events: 200, loss: 0.5, auc: 0.7, accuracy: 0.65)
        report.train = report.test
        var output = OutputReport()
        var curve = OutputReport.Curve()
        (curve.thresholds, curve.signal, curve.background) = ([1.5, 0.5, 0], [0, 0.7, 1], [0, 0.4, 1])
        output.roc = curve
        output.calibration = .init(repeating: .init(), count: OutputReport.calibrationBins)
        output.rejection = .init(repeating: .init(), count: OutputReport.rejectionTenths.count)
        output.ownClass = .init(statistic: 0.1, probability: 0.9)
        report.outputs = [output]
        return report
    }

    private func isPlausible(_ change: (inout EvaluationReport) -> Void) -> Bool {
        var report = Self.report
        change(&report)
        return EvaluationCheck.isPlausible(report)
    }

    @Test func whatATrainingGivesIsPlausible() {
        #expect(isPlausible { _ in })
        #expect(EvaluationCheck.isPlausible(EvaluationReport()))
        #expect(isPlausible { $0.outputs?[0].roc = nil })
        #expect(isPlausible { $0.test.metrics.classAUC = [0.5, nil] })
    }

    @Test func anythingElseIsNot() {
        #expect(!isPlausible { $0.test.metrics.events = -1 })
        #expect(!isPlausible { $0.test.metrics.loss = .nan })
        #expect(!isPlausible { $0.train.metrics.auc = 1.5 })
        #expect(!isPlausible { $0.train.metrics.classAUC = .init(repeating: 0.5, count: 1001) })
        #expect(!isPlausible { $0.train.histograms = nil })
        #expect(!isPlausible { $0.train.histograms?[0].own.append(1) })
        #expect(!isPlausible { $0.test.histograms?[0].others[3] = -1 })
        #expect(!isPlausible { $0.test.confusion?[1].append(0) })
        #expect(!isPlausible { $0.test.confusion = .init(repeating: .init(repeating: 0, count: 65), count: 65) })
        #expect(!isPlausible { $0.outputs = nil })
        #expect(!isPlausible { $0.outputs?.append(OutputReport()) })
        #expect(!isPlausible { $0.outputs?[0].roc?.signal = [0, 1] })
        #expect(!isPlausible { $0.outputs?[0].roc?.background = [0, 1, 0.5] })
        #expect(!isPlausible { $0.outputs?[0].roc?.thresholds = [0.5, 0.5, 0] })
        #expect(!isPlausible { $0.outputs?[0].roc?.thresholds[0] = .infinity })
        #expect(!isPlausible { $0.outputs?[0].calibration[0].share = -0.1 })
        #expect(!isPlausible { $0.outputs?[0].rejection[0].rejection = .infinity })
        #expect(!isPlausible { $0.outputs?[0].rejection.removeLast() })
        #expect(!isPlausible { $0.outputs?[0].ownClass?.probability = 1.1 })
    }

    /// A report as a model that learns a target gives it.
    private static var regression: EvaluationReport {
        var report = EvaluationReport()
        var part = RegressionReport()
        part.residuals.range = 8
        part.residuals.counts = .init(repeating: 2, count: RegressionReport.histogramBins)
        part.targets = .init(repeating: .init(), count: RegressionReport.targetBins)
        report.test.regression = part
        report.test.metrics = PartMetrics(
            events: 128, loss: 1e12, auc: nil, accuracy: nil, regression: .init(mae: 3, rmse: 4, r2: -7))
        report.train = report.test
        return report
    }

    @Test func aRegressionIsCheckedToo() {
        func isPlausible(_ change: (inout EvaluationReport) -> Void) -> Bool {
            var report = Self.regression
            change(&report)
            return EvaluationCheck.isPlausible(report)
        }
        #expect(isPlausible { _ in })
        #expect(isPlausible { $0.test.metrics.regression = .init() })
        #expect(!isPlausible { $0.test.metrics.regression?.mae = -1 })
        #expect(!isPlausible { $0.test.metrics.regression?.rmse = .infinity })
        #expect(!isPlausible { $0.test.metrics.regression?.r2 = 1.5 })
        #expect(!isPlausible { $0.test.metrics.auc = 0.5 })
        #expect(!isPlausible { $0.train.regression?.residuals.counts.removeLast() })
        #expect(!isPlausible { $0.train.regression?.residuals.below = -1 })
        #expect(!isPlausible { $0.train.regression?.residuals.range = 0 })
        #expect(!isPlausible { $0.train.regression?.targets.append(.init()) })
        #expect(!isPlausible { $0.train.regression?.targets[3].meanTarget = .nan })
    }

    @Test func epochsAreCheckedToo() {
        let part = Self.report.test.metrics
        #expect(EvaluationCheck.isPlausible(EpochMetrics(epoch: 1, train: part, validation: part)))
        #expect(!EvaluationCheck.isPlausible(EpochMetrics(epoch: 0, train: part, validation: part)))
        var wrong = part
        wrong.accuracy = -1
        #expect(!EvaluationCheck.isPlausible(EpochMetrics(epoch: 1, train: part, validation: wrong)))
    }
}
