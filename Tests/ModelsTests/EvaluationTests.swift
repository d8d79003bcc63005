import Cluster
import Foundation
import Models
import TestKit
import Testing

/// The report at the end of a training, against scikit-learn, NumPy, SciPy and ROOT.
@Suite struct EvaluationTests {
    /// Scores and classes of one part.
    private struct Samples: Encodable {
        var scores: [[Float]] = []
        var labels: [Int32] = []

        /// Its sums, as a member of a training makes them.
        func sums(_ sums: MetricSums) -> [Int64] {
            var totals = [Int64](repeating: 0, count: sums.count)
            let flat = scores.flatMap { $0 }
            var target = totals.mutableSpan
            for (sample, label) in labels.enumerated() {
                sums.add(flat.span, sample: sample, label: label, to: &target)
            }
            return totals
        }
    }

    private struct Case: Encodable {
        var outputs: Int
        var train: Samples
        var test: Samples
        var report: EvaluationReport
    }

    /// Events whose scores lean to their class.
    ///
    /// - Parameter grid: the number of values that a score may have; few make many ties.
    private static func samples(
        _ count: Int, outputs: Int, grid: Int, without missing: Int32? = nil, _ random: inout SeededRandom
    ) -> Samples {
        var samples = Samples()
        for _ in 0..<count {
            let label = Int32(random.below(max(2, outputs)))
            if label == missing { continue }
            var scores = (0..<outputs).map { output in
                let lean: Float = (outputs == 1 ? label == 1 : label == output) ? 1.5 : 1
                return min(1, lean * Float(random.below(grid)) / Float(grid - 1))
            }
            let sum = scores.reduce(0, +)
            if outputs > 1, sum > 0 { scores = scores.map { $0 / sum } }
            samples.scores.append(scores)
            samples.labels.append(label)
        }
        return samples
    }

    private static func report(_ train: Samples, _ test: Samples, outputs: Int) -> EvaluationReport {
        let sums = MetricSums(Loss(outputs: outputs), detail: .report)
        return EvaluationReport(sums, train: train.sums(sums).span, test: test.sums(sums).span)
    }

    @Test(
        .enabled(if: FileManager.default.fileExists(atPath: NativePredictorTests.python)),
        arguments: [
            (outputs: 1, grid: 9, missing: nil), (1, 100_003, nil), (3, 9, nil), (3, 100_003, nil), (3, 1009, 1),
            (1, 1009, 0),
        ] as [(outputs: Int, grid: Int, missing: Int32?)])
    func theReportIsWhatOthersCompute(outputs: Int, grid: Int, missing: Int32?) throws {
        var random = SeededRandom(seed: UInt64(grid + outputs))
        let train = Self.samples(3000, outputs: outputs, grid: grid, &random)
        let test = Self.samples(1500, outputs: outputs, grid: grid, without: missing, &random)
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let file = directory.appending(path: "case.json")
        let report = Self.report(train, test, outputs: outputs)
        try JSONEncoder().encode(Case(outputs: outputs, train: train, test: test, report: report)).write(to: file)
        let oracle = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "evaluation_oracle.py")
        let found = try Process.result(NativePredictorTests.python, [oracle.path, file.path], mergesErrors: true)
        let text = String(decoding: found.output, as: UTF8.self)
        #expect(found.status == 0 && text.hasSuffix("agree\n"), "\(text)")
    }

    @Test func aSmallExampleByHand() throws {
        let test = Samples(scores: [[0.9], [0.8], [0.325], [0.325], [0.1], [1]], labels: [1, 0, 1, 0, 0, 1])
        let report = Self.report(test, test, outputs: 1)
        #expect(report.test.confusion == [[2, 1], [1, 2]] && report.train == report.test)
        #expect(report.test.metrics.classAUC == nil)
        let output = try #require(report.outputs?.first)
        let curve = try #require(output.roc)
        let (signal, background): ([Double], [Double]) = ([0, 1, 2, 2, 3, 3], [0, 0, 0, 1, 2, 3])
        #expect(curve.signal == signal.map { $0 / 3 } && curve.background == background.map { $0 / 3 })
        // A third and two thirds of the signal are accepted without any background; all of it with two of three.
        let rejection = [Double?](repeating: nil, count: 6) + [1.5, 1.5, 1.5]
        #expect(output.rejection.map(\.rejection) == rejection)
        #expect(output.ownClass == .init(statistic: 0, probability: 1))
        #expect(output.calibration[6].events == 2 && output.calibration[6].share == 0.5)
        #expect(report.test.histograms?.first?.own[99] == 1)
    }

    @Test func noEventsGiveNoNumbers() throws {
        let none = Samples()
        for outputs in [1, 3] {
            let report = Self.report(none, none, outputs: outputs)
            #expect(report.test.metrics.auc == nil && report.test.metrics.accuracy == nil)
            #expect(report.test.metrics.classAUC == (outputs == 1 ? nil : [nil, nil, nil]))
            for output in try #require(report.outputs) {
                #expect(output.roc == nil && output.ownClass == nil && output.otherClasses == nil)
                #expect(output.rejection.count == 9 && output.rejection.allSatisfy { $0.rejection == nil })
                #expect(output.calibration.allSatisfy { $0.events == 0 && $0.share == nil && $0.meanScore == nil })
            }
            // What is undefined is there, as null.
            let text = String(decoding: try JSONEncoder().encode(report), as: UTF8.self)
            #expect(text.contains(#""auc":null"#) && text.contains(#""roc":null"#))
            #expect(try JSONDecoder().decode(EvaluationReport.self, from: Data(text.utf8)) == report)
        }
    }

    /// As many points as the coordinator accepts, whatever the numbers of events are: equal distances along the curve
    /// may be reached exactly, and their products rounded down.
    @Test(arguments: [400, 1000, 2050, 4100, 6000]) func aThinnedCurveHasNoMorePointsThanAllowed(_ events: Int) throws {
        for own in [events / 2, events / 3, events - 7] {
            let labels = (0..<events).map { Int32($0 * own / events != ($0 + 1) * own / events ? 1 : 0) }
            let samples = Samples(scores: (0..<events).map { [Float($0) / Float(events)] }, labels: labels)
            let curve = try #require(Self.report(samples, samples, outputs: 1).outputs?.first?.roc)
            #expect((100...OutputReport.maxCurvePoints).contains(curve.thresholds.count), "\(own) of \(events)")
            #expect(curve.signal.last == 1 && curve.background.last == 1)
        }
    }

    @Test func manyClassesHaveAreasOnly() {
        let samples = Samples(scores: [.init(repeating: 1.0 / 65, count: 65)], labels: [64])
        let report = Self.report(samples, samples, outputs: 65)
        #expect(report.outputs == nil && report.test.confusion == nil && report.test.histograms == nil)
        #expect(report.test.metrics.classAUC?.count == 65 && report.test.metrics.events == 1)
    }

    @Test func anEpochCountsNoMoreThanItNeeds() {
        let loss = Loss(outputs: 3)
        let (epoch, whole) = (MetricSums(loss), MetricSums(loss, detail: .report))
        #expect(whole.count == epoch.count + 9)
        var random = SeededRandom(seed: 5)
        let samples = Self.samples(200, outputs: 3, grid: 100, &random)
        #expect(samples.sums(epoch) == Array(samples.sums(whole).prefix(epoch.count)))
        #expect(epoch.metrics(samples.sums(epoch).span) == whole.metrics(samples.sums(whole).span))
    }
}
