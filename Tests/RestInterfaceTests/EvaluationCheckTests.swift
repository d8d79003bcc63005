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

    @Test func epochsAreCheckedToo() {
        let part = Self.report.test.metrics
        #expect(EvaluationCheck.isPlausible(EpochMetrics(epoch: 1, train: part, validation: part)))
        #expect(!EvaluationCheck.isPlausible(EpochMetrics(epoch: 0, train: part, validation: part)))
        var wrong = part
        wrong.accuracy = -1
        #expect(!EvaluationCheck.isPlausible(EpochMetrics(epoch: 1, train: part, validation: wrong)))
    }
}
