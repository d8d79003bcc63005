import Bytes
import Cluster
import Features
import Foundation
import Models
import TestKit
import Testing

/// A model that learns a target: losses against PyTorch, metrics against scikit-learn and NumPy, the export against
/// onnxruntime.
@Suite struct RegressionTests {
    static let target = TargetSchema(
        branch: "y", offset: 100, scale: 0.125, mean: 100, deviation: 9, min: 75, max: 127)

    private static func schema(width: Int, _ target: TargetSchema) -> DataSchema {
        var schema = NativeModelTests.schema(width: width)
        schema.target = target
        return schema
    }

    private static func batch(_ rows: [Float], targets: [Float], _ schema: DataSchema) -> Batch {
        let store = EventStore(
            schema, rows: PartTable(train: rows, validation: [], test: []),
            labels: PartTable(train: .init(repeating: 0, count: targets.count), validation: [], test: []),
            targets: PartTable(train: targets, validation: [], test: []))
        var batch = Batch(schema, capacity: targets.count)
        BatchAssembler(schema).assemble(0..<targets.count, of: store[.train], into: &batch)
        return batch
    }

    // MARK: Sums

    @Test func exactSumsDoNotDependOnTheOrder() throws {
        var random = SeededRandom(seed: 3)
        var values = (0..<4000).map { _ in
            let value = (Double(random.below(1 << 30)) - 0x1p29) / 0x1p29
            return value * Double(sign: .plus, exponent: random.below(100) - 40, significand: 1)
        }
        func sum() -> ExactSum { values.reduce(into: ExactSum()) { $0 += ExactSum($1) ?? ExactSum() } }
        let first = sum()
        values.reverse()
        #expect(sum() == first)
        values.sort()
        #expect(sum().value == first.value)
        // What is large cancels, and what is small is left.
        var rest = ExactSum()
        for value in [0x1p62, 1.5, -0x1p62, -1.25, 0x1p-64, -0x1p60, 0x1p60] { rest += try #require(ExactSum(value)) }
        #expect(rest.value == 0.25 + 0x1p-64)
        for value in [0, -1, 0.1, -3e-10, 12_345.678, -0x1p62, 0x1p-64] {
            #expect(try #require(ExactSum(value)).value == (value * 0x1p64).rounded() * 0x1p-64)
        }
        for value in [Double.nan, .infinity, 0x1p63, -0x1p63] { #expect(ExactSum(value) == nil) }
        #expect(ExactSum(fixedPoint: 3 << 31).value == 1.5)
    }

    // MARK: Losses

    private static func optimizer(_ name: String) -> any Models.Optimizer {
        var descent = JobDescription.GradientDescent(learningRate: 0.001)
        descent.momentum = 0.9
        return name == "adam" ? Adam(.init(learningRate: 0.01), decoupled: false) : SGD(descent)
    }

    /// Values differ by no more than this share of the largest.
    private func isClose(_ found: [Float], _ expected: [Float], _ tolerance: Float, _ what: String) {
        let limit = tolerance * max(1, expected.map(abs).max() ?? 0)
        #expect(found.count == expected.count && zip(found, expected).allSatisfy { abs($0 - $1) < limit }, "\(what)")
    }

    @Test(arguments: TorchReferenceTests.reference.regressions)
    func lossGradientAndTenUpdatesAgree(_ reference: TorchReferenceTests.Regression) throws {
        let target = TargetSchema(
            branch: "y", offset: reference.offset, scale: reference.scale, mean: 40, deviation: 15, min: 0, max: 80)
        var settings = JobDescription.LossSettings()
        settings.delta = reference.delta
        let loss = try Loss(reference.loss, settings, outputs: 1, target: target)
        let model = try NativeModel(
            inputs: 5, layers: [.dense(units: 6, activation: .tanh), .dense(units: 1, activation: .linear)], loss: loss)
        let samples = reference.targets.count
        let batch = Self.batch(reference.inputs, targets: reference.targets, Self.schema(width: 5, target))
        let workspace = try NativeWorkspace(model, capacity: samples)
        let whole = BatchSegment(rows: 0..<samples, random: 1)
        func gradient(_ parameters: [Float]) throws -> (loss: ExactSum, values: [Float]) {
            let sum = try workspace.computeGradients(of: batch, segments: [whole], parameters: parameters.span)
            let found = workspace.gradient(of: whole, parameters: parameters.span)
            return (sum, (0..<found.count).map { found[$0] })
        }
        let first = try gradient(reference.start)
        // PyTorch's loss is that of normalised values, ours is in the target's units, squared.
        let expected = reference.total / Double(reference.scale) / Double(reference.scale)
        #expect(abs(loss.total(first.loss) / expected - 1) < 1e-5)
        isClose(first.values, reference.gradient, 2e-5, "gradient")
        let optimizer = Self.optimizer(reference.optimizer)
        var state = TrainingState(model, optimizer, seed: 1)
        state.parameters = reference.start
        for _ in 0..<10 {
            let own = try gradient(state.parameters).values
            var sums = [Int64](repeating: 0, count: own.count)
            for (tensor, range) in model.tensors.ranges.enumerated() {
                let scale = Double(sign: .plus, exponent: Int(state.exponents[tensor]), significand: 1)
                for index in range { sums[index] = Int64((Double(own[index]) * scale).rounded()) }
            }
            state.apply(sums.span, weight: Double(samples), optimizer, rate: optimizer.learningRate)
        }
        isClose(state.parameters, reference.after, 1e-4, "parameters")
    }

    @Test func aLossFitsWhatIsLearnt() throws {
        let linear = JobDescription.Layer.dense(units: 1, activation: .linear)
        for (loss, target) in [(.mse, nil), (.huber, nil), (.binary, Self.target), (.focal, Self.target)]
            as [(JobDescription.Loss, TargetSchema?)]
        {
            #expect(throws: InputError.self) { try Loss(loss, .init(), outputs: 1, target: target) }
        }
        let loss = try Loss(.mse, .init(), outputs: 1, target: Self.target)
        for last in [.dense(units: 1, activation: .sigmoid), .activation(.relu)] as [JobDescription.Layer] {
            #expect(throws: InputError.self) { try NativeModel(inputs: 2, layers: [linear, last], loss: loss) }
        }
        // A batch without targets is an error, not a trap.
        let model = try NativeModel(inputs: 1, layers: [linear], loss: loss)
        let workspace = try NativeWorkspace(model, capacity: 1)
        let batch = NativeModelTests.batch([1], labels: [0], width: 1)
        let parameters: [Float] = [1, 0]
        #expect(throws: InputError.self) {
            _ = try workspace.computeGradients(
                of: batch, segments: [BatchSegment(rows: 0..<1, random: 1)], parameters: parameters.span)
        }
    }

    // MARK: Metrics

    /// Scores and targets of one part.
    private struct Samples: Encodable {
        var scores: [Float] = []
        var targets: [Float] = []

        func sums(_ sums: MetricSums, _ target: TargetSchema) -> [Int64] {
            var totals = [Int64](repeating: 0, count: sums.count)
            guard !targets.isEmpty else { return totals }
            let batch = RegressionTests.batch(
                .init(repeating: 0, count: targets.count), targets: targets, RegressionTests.schema(width: 1, target))
            var span = totals.mutableSpan
            sums.add(scores.span, batch, to: &span)
            return totals
        }
    }

    private struct Case: Encodable {
        var target: TargetSchema
        var delta: Double?
        var train: Samples
        var test: Samples
        var report: EvaluationReport
    }

    private static func report(
        _ train: Samples, _ test: Samples, _ target: TargetSchema = target, delta: Double? = nil
    ) -> EvaluationReport {
        let sums = MetricSums(Loss(.value(ValueLoss(target, delta: delta))), detail: .report)
        return EvaluationReport(sums, train: train.sums(sums, target).span, test: test.sums(sums, target).span)
    }

    /// Targets about 100, and scores that miss them by about `error`, in the target's units.
    private static func samples(_ count: Int, error: Double, _ random: inout SeededRandom) -> Samples {
        var samples = Samples()
        func draw() -> Double { (0..<6).reduce(-3) { sum, _ in sum + Double(random.below(1 << 20)) / 0x1p20 } }
        for _ in 0..<count {
            let value = Float(100 + 13 * draw())
            samples.targets.append(value)
            samples.scores.append(target.normalised(value + Float(error * draw())))
        }
        return samples
    }

    @Test(
        .enabled(if: FileManager.default.fileExists(atPath: NativePredictorTests.python)),
        arguments: [(error: 2, delta: nil), (0.01, nil), (40, 1), (0, 0.5)] as [(error: Double, delta: Double?)])
    func theReportIsWhatOthersCompute(error: Double, delta: Double?) throws {
        var random = SeededRandom(seed: 17)
        let train = Self.samples(3000, error: error, &random)
        let test = Self.samples(1500, error: error, &random)
        let report = Self.report(train, test, delta: delta)
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let file = directory.appending(path: "case.json")
        let all = Case(target: Self.target, delta: delta, train: train, test: test, report: report)
        try JSONEncoder().encode(all).write(to: file)
        let oracle = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "regression_oracle.py")
        let found = try Self.python([oracle.path, file.path])
        #expect(found.status == 0 && found.text.hasSuffix("agree\n"), "\(found.text)")
    }

    private static func python(_ arguments: [String]) throws -> (status: Int32, text: String) {
        let found = try Process.result(NativePredictorTests.python, arguments, mergesErrors: true)
        return (found.status, String(decoding: found.output, as: UTF8.self))
    }

    @Test func aSmallExampleByHand() throws {
        // Predictions 100, 116, 92 of the targets 102, 112, 92.
        let samples = Samples(scores: [0, 2, -1], targets: [102, 112, 92])
        let metrics = Self.report(samples, samples).test.metrics
        let regression = try #require(metrics.regression)
        #expect(metrics.events == 3 && abs(metrics.loss - 20.0 / 3) < 1e-12 && regression.mae == 2)
        #expect(regression.rmse == (20.0 / 3).squareRoot() && abs((regression.r2 ?? 0) - 0.9) < 1e-12)
        #expect(metrics.auc == nil && metrics.accuracy == nil && metrics.classAUC == nil)
        // After Huber with a distance of 0.3 normalised, which is 2.4: 2, 2.4 (4 - 1.2), 0.
        let huber = Self.report(samples, samples, delta: 0.3).test.metrics
        #expect(abs(huber.loss - (2 + 6.72) / 3) < 1e-6 && huber.regression == regression)
    }

    @Test func whatIsUndefinedIsNull() throws {
        let alike = Samples(scores: [0, 1, 2], targets: [92.7, 92.7, 92.7])
        let report = Self.report(Samples(), alike)
        #expect(report.test.metrics.regression?.r2 == nil && report.test.metrics.regression?.mae != nil)
        #expect(report.train.metrics.regression == RegressionMetrics() && report.train.metrics.loss == 0)
        let text = String(decoding: try JSONEncoder().encode(report), as: UTF8.self)
        #expect(text.contains(#""r2":null"#) && text.contains(#""auc":null"#) && !text.contains("histograms"))
        #expect(text.contains(#""meanTarget":null"#))
        #expect(try JSONDecoder().decode(EvaluationReport.self, from: Data(text.utf8)) == report)
        // A report of classes has none of it.
        let classes = PartMetrics(events: 1, loss: 1, auc: 0.5, accuracy: 1)
        #expect(!String(decoding: try JSONEncoder().encode(classes), as: UTF8.self).contains("regression"))
    }

    @Test func whatCannotBeCountedIsCountedApart() {
        let sums = MetricSums(Loss(.value(ValueLoss(Self.target))))
        let found = Samples(scores: [.nan, .infinity, 1e30, 0], targets: [100, 100, 100, 100]).sums(sums, Self.target)
        #expect(found[sums.nanCount] == 3 && sums.metrics(found.span).events == 1)
        // An epoch needs no bins.
        #expect(sums.count < 64)
    }

    // MARK: Export

    @Test func predictionsAreInTheTargetsUnits() throws {
        let loss = try Loss(.mse, .init(), outputs: 1, target: Self.target)
        let layers: [JobDescription.Layer] = [
            .dense(units: 7, activation: .tanh), .dropout(rate: 0.3), .dense(units: 1, activation: .linear),
        ]
        let schema = Self.schema(width: 3, Self.target)
        let model = try NativeModel(inputs: 3, layers: layers, loss: loss)
        let parameters = model.initialParameters(seed: 4)
        let bytes = try model.export(parameters, schema: schema, version: "test")
        let bundle = ModelBundle([.init(.model, bytes), .init(.schema, [UInt8](try JSONEncoder().encode(schema)))])
        let rows: [Float] = [0.5, -1, 2, 0.25, 0, -3, 1, 1, 1]
        let workspace = try NativeWorkspace(model, capacity: 3)
        let batch = Self.batch(rows, targets: [100, 100, 100], schema)
        let scores = try workspace.scores(of: batch, parameters: parameters.span)
        let expected = (0..<3).map { 100 + Double(scores[$0]) / 0.125 }
        let found = try NativePredictor(bundle).predict([NamedTensor(name: "features", shape: [3, 3], values: rows)])
        #expect(zip(found[0].values, expected).allSatisfy { abs(Double($0) - $1) < 1e-4 })
        guard FileManager.default.fileExists(atPath: NativePredictorTests.python) else { return }
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let file = directory.appending(path: "model.onnx")
        try Data(bytes).write(to: file)
        let program = """
            import json, sys, numpy, onnxruntime
            rows = numpy.array(json.loads(sys.argv[2]), numpy.float32).reshape(-1, 3)
            session = onnxruntime.InferenceSession(sys.argv[1])
            print(json.dumps(session.run(["scores"], {"features": rows})[0].ravel().tolist()))
            """
        let text = try Self.python(["-c", program, file.path, "\(rows)"]).text
        // Warnings come before it.
        let last = try #require(text.split(separator: "\n").last)
        let others = try JSONDecoder().decode([Float].self, from: Data(last.utf8))
        #expect(others.count == 3 && zip(found[0].values, others).allSatisfy { abs($0 - $1) < 1e-4 })
        // A scale whose inverse the weights cannot hold.
        var tiny = Self.target
        tiny.scale = 1e-38
        let other = try NativeModel(
            inputs: 3, layers: layers, loss: Loss(.mse, .init(), outputs: 1, target: tiny))
        #expect(throws: InputError.self) {
            try other.export(parameters.map { 1e3 * $0 }, schema: Self.schema(width: 3, tiny), version: "test")
        }
    }
}
