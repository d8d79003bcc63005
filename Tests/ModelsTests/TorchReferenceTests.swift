import Bytes
import Cluster
import Features
import Foundation
import Models
import Testing

/// Layers, losses, optimisers and schedules against PyTorch: torch_reference.py wrote what it computes.
@Suite struct TorchReferenceTests {
    struct Reference: Decodable {
        var models: [Model]
        var optimizers: [Optimizer]
        var schedules: [Schedule]
        var plateau: Plateau
        var regressions: [Regression]
    }

    struct Model: Decodable, CustomTestStringConvertible {
        var name: String
        var lossName: String
        var inputs: [Float]
        var labels: [Int32]
        var start: [Float]
        var scores: [Float]
        var loss: Double
        var gradient: [Float]
        var after: [Float]
        var outside: [Float]

        var testDescription: String { "\(name), \(lossName)" }
    }

    struct Optimizer: Decodable, CustomTestStringConvertible {
        var name: String
        var inputs: [Float]
        var labels: [Int32]
        var start: [Float]
        var after: [Float]

        var testDescription: String { name }
    }

    struct Schedule: Decodable, CustomTestStringConvertible {
        var name: String
        var rates: [Double]

        var testDescription: String { name }
    }

    struct Plateau: Decodable {
        var metrics: [Double]
        var rates: [Double]
    }

    struct Regression: Decodable, CustomTestStringConvertible {
        var loss: JobDescription.Loss
        var delta: Double
        var optimizer: String
        var offset: Float
        var scale: Float
        var inputs: [Float]
        var targets: [Float]
        var start: [Float]
        var total: Double
        var gradient: [Float]
        var after: [Float]

        var testDescription: String { "\(loss.rawValue) \(delta), \(optimizer), scale \(scale)" }
    }

    static let reference: Reference = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "torch_reference.json")
        do { return try JSONDecoder().decode(Reference.self, from: Data(contentsOf: file)) } catch {
            fatalError("\(file.path): \(error)")
        }
    }()

    private static func layers(_ name: String, outputs: Int) -> [JobDescription.Layer] {
        let last = JobDescription.Layer.dense(units: outputs, activation: outputs == 1 ? .sigmoid : .softmax)
        switch name {
        case "plain": return [.dense(units: 6, activation: .tanh), last]
        case "layer_norm":
            return [.dense(units: 6, activation: .linear), .layerNorm(epsilon: 1e-5), .activation(.relu), last]
        case "batch_norm":
            return [
                .dense(units: 6, activation: .linear), .batchNorm(momentum: 0.1, epsilon: 1e-5), .activation(.relu),
                last,
            ]
        case "add":
            return [.dense(units: 4, activation: .relu), .dense(units: 4, activation: .tanh), .add(layer: 0), last]
        default:
            let activation = JobDescription.Activation(rawValue: name)
            return [.dense(units: 6, activation: activation ?? .linear), last]
        }
    }

    private static func loss(_ name: String) -> Loss {
        let scores: Loss.Scores = name.hasPrefix("binary") ? .binary : .categorical(classes: 3)
        return switch name.split(separator: "_").dropFirst().joined(separator: "_") {
        case "smoothed": Loss(scores, labelSmoothing: 0.2)
        case "focal": Loss(scores, focus: .init(gamma: 2, alpha: name == "binary_focal" ? 0.25 : nil))
        case "focal_half": Loss(scores, focus: .init(gamma: 1.5))
        default: Loss(scores)
        }
    }

    private func isClose(_ found: Span<Float>, _ expected: [Float], _ tolerance: Float, _ what: String) {
        #expect(found.count == expected.count, "\(what)")
        for index in 0..<min(found.count, expected.count) {
            let limit = tolerance * max(1, abs(expected[index]))
            #expect(
                abs(found[index] - expected[index]) < limit, "\(what) \(index): \(found[index]), \(expected[index])")
        }
    }

    @Test(arguments: reference.models) func forwardAndGradientAgree(_ reference: Model) throws {
        let loss = Self.loss(reference.lossName)
        let model = try NativeModel(
            inputs: 5, layers: Self.layers(reference.name, outputs: loss.outputs), loss: loss)
        let samples = reference.labels.count
        let batch = NativeModelTests.batch(reference.inputs, labels: reference.labels, width: 5)
        let workspace = try NativeWorkspace(model, capacity: samples)
        let whole = BatchSegment(rows: 0..<samples, random: 1)
        let sum = try workspace.computeGradients(of: batch, segments: [whole], parameters: reference.start.span)
        #expect(abs(sum.value - reference.loss) < 1e-4)
        let gradient = workspace.gradient(of: whole, parameters: reference.start.span)
        // Running statistics have no gradient in PyTorch; they are compared after the step.
        var trained = [Float](repeating: 0, count: gradient.count)
        for (tensor, range) in zip(model.tensors, model.tensors.ranges) where tensor.momentum == nil {
            for index in range { trained[index] = gradient[index] }
        }
        isClose(trained.span, reference.gradient, 2e-5, "gradient")
        var after = reference.start
        for (tensor, range) in zip(model.tensors, model.tensors.ranges) {
            guard let momentum = tensor.momentum else { continue }
            for index in range { after[index] -= Float(momentum) * gradient[index] / Float(samples) }
        }
        isClose(after.span, reference.after, 1e-5, "parameters after the step")
        isClose(try workspace.scores(of: batch, parameters: after.span), reference.outside, 1e-5, "scores")
    }

    private static func optimizer(_ name: String) -> any Models.Optimizer {
        var adam = JobDescription.AdaptiveMoments(learningRate: 0.01)
        var descent = JobDescription.GradientDescent(learningRate: 0.1)
        switch name {
        case "adam": return Adam(adam, decoupled: false)
        case "adam_decay", "adamw":
            adam.weightDecay = 0.1
            return Adam(adam, decoupled: name == "adamw")
        case "sgd_decay": descent.weightDecay = 0.05
        case "momentum": descent.momentum = 0.9
        case "nesterov": (descent.momentum, descent.nesterov) = (0.9, true)
        default: break
        }
        return SGD(descent)
    }

    @Test(arguments: reference.optimizers) func tenUpdatesAgree(_ reference: Optimizer) throws {
        let model = try NativeModel(inputs: 5, layers: Self.layers("plain", outputs: 1))
        let optimizer = Self.optimizer(reference.name)
        let samples = reference.labels.count
        let batch = NativeModelTests.batch(reference.inputs, labels: reference.labels, width: 5)
        let workspace = try NativeWorkspace(model, capacity: samples)
        let whole = BatchSegment(rows: 0..<samples, random: 1)
        var state = TrainingState(model, optimizer, seed: 1)
        state.parameters = reference.start
        for _ in 0..<10 {
            _ = try workspace.computeGradients(of: batch, segments: [whole], parameters: state.parameters.span)
            var sums = [Int64](repeating: 0, count: state.parameters.count)
            do {
                let gradient = workspace.gradient(of: whole, parameters: state.parameters.span)
                for (tensor, range) in model.tensors.ranges.enumerated() {
                    let scale = Double(sign: .plus, exponent: Int(state.exponents[tensor]), significand: 1)
                    for index in range { sums[index] = Int64((Double(gradient[index]) * scale).rounded()) }
                }
            }
            state.apply(
                sums.span, weight: Double(samples), optimizer, rate: optimizer.learningRate,
                clipNorm: reference.name == "clipped" ? 0.05 : nil)
        }
        // Where a gradient is near 0, Adam's first steps amplify the last bits.
        isClose(state.parameters.span, reference.after, 1e-4, reference.name)
    }

    @Test(arguments: reference.schedules) func learningRatesAgree(_ reference: Schedule) {
        var settings = TrainingCourseSettings()
        switch reference.name {
        case "step": settings.schedule = .step(every: 2, factor: 0.3)
        case "cosine": settings.schedule = .cosine(final: 0.01)
        case "one_cycle": settings.schedule = .oneCycle(rise: 0.3, initialDivisor: 25, finalDivisor: 10_000)
        default: settings.warmup = 2
        }
        // PyTorch was given a total of 41 steps for its one cycle, since it takes a step after the last one too.
        let steps: (perEpoch: Int64, epochs: Int) = reference.name == "one_cycle" ? (41, 1) : (10, 4)
        let rates = LearningRate(settings, base: 0.1, batch: 100, stepsPerEpoch: steps.perEpoch, epochs: steps.epochs)
        for (step, expected) in reference.rates.enumerated() {
            #expect(abs(rates.rate(step: Int64(step), plateau: 1) - expected) < 1e-12, "step \(step)")
        }
        settings = TrainingCourseSettings()
        settings.referenceBatch = 50
        let scaled = LearningRate(settings, base: 0.1, batch: 200, stepsPerEpoch: 10, epochs: 1)
        #expect(scaled.rate(step: 3, plateau: 0.5) == 0.2)
    }

    @Test func thePlateauAgrees() throws {
        let reference = Self.reference.plateau
        var settings = TrainingCourseSettings()
        settings.schedule = .plateau(metric: .loss, factor: 0.5, patience: 1, threshold: 1e-4)
        let model = try NativeModel(inputs: 2, layers: [.dense(units: 1, activation: .sigmoid)])
        var state = TrainingState(model, SGD(.init()), seed: 1)
        for (epoch, (metric, rate)) in zip(reference.metrics, reference.rates).enumerated() {
            let metrics = PartMetrics(events: 10, loss: metric, auc: nil, accuracy: nil)
            state.endEpoch(epoch + 1, metrics, settings)
            // The same epoch again changes nothing.
            state.endEpoch(epoch + 1, metrics, settings)
            #expect(state.course.factor == rate, "epoch \(epoch + 1)")
        }
    }
}
