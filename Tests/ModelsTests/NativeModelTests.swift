import Bytes
import Cluster
import Features
import Glibc
import Models
import Testing

@Suite struct NativeModelTests {
    /// A batch of samples with one flat input, not normalised.
    static func batch(_ rows: [Float], labels: [Int32], width: Int) -> Batch {
        let schema = schema(width: width)
        let none = PartTable<[Float]>(train: rows, validation: [], test: [])
        let store = EventStore(schema, rows: none, labels: PartTable(train: labels, validation: [], test: []))
        var batch = Batch(schema, capacity: labels.count)
        BatchAssembler(schema).assemble(0..<labels.count, of: store[.train], into: &batch)
        return batch
    }

    static func schema(width: Int) -> DataSchema {
        DataSchema(flat: [Channel(branch: "x", width: width, jagged: true, offset: 0, scale: 1, fill: 0)])
    }

    static let models: [[JobDescription.Layer]] = [
        [
            .dense(units: 4, activation: .tanh), .dense(units: 3, activation: .sigmoid),
            .dense(units: 3, activation: .softmax),
        ],
        [
            .dense(units: 5, activation: .linear), .dense(units: 4, activation: .relu),
            .dense(units: 1, activation: .sigmoid),
        ],
        // With a key that is kept, dropout is a fixed function, and its gradient too.
        [
            .dropout(rate: 0.3), .dense(units: 6, activation: .tanh), .dropout(rate: 0.4),
            .dense(units: 5, activation: .sigmoid), .dropout(rate: 0.2), .dense(units: 1, activation: .sigmoid),
        ],
    ]

    @Test(arguments: models) func gradientsAgreeWithDifferences(_ layers: [JobDescription.Layer]) throws {
        let model = try NativeModel(inputs: 3, layers: layers)
        var parameters = model.initialParameters(seed: 3)
        let labels: [Int32] = [1, 0]
        let batch = Self.batch([0.1, -0.4, 0.9, 0.7, 0.2, -0.3], labels: labels, width: 3)
        let workspace = try NativeWorkspace(model, capacity: 2)
        let whole = BatchSegment(rows: 0..<2, random: 11)
        func loss() throws -> Double {
            try workspace.computeGradients(of: batch, segments: [whole], parameters: parameters.span).value
        }
        _ = try loss()
        let gradient = Self.gradient(of: whole, workspace, parameters)
        for index in parameters.indices {
            let kept = parameters[index]
            parameters[index] = kept + 1e-2
            let up = try loss()
            parameters[index] = kept - 1e-2
            let down = try loss()
            parameters[index] = kept
            #expect(abs((up - down) / 2e-2 - Double(gradient[index])) < 2e-3, "parameter \(index)")
        }
    }

    private static func gradient(
        of segment: BatchSegment, _ workspace: NativeWorkspace, _ parameters: [Float]
    ) -> [Float] {
        let found = workspace.gradient(of: segment, parameters: parameters.span)
        return (0..<parameters.count).map { found[$0] }
    }

    /// A lane's gradient is the same bits, whatever lanes share the product with it.
    @Test(arguments: models) func lanesThatShareAProductKeepTheirGradients(_ layers: [JobDescription.Layer]) throws {
        let model = try NativeModel(inputs: 3, layers: layers)
        let parameters = model.initialParameters(seed: 5)
        var random = SeededRandom(seed: 9)
        let rows = (0..<3 * 40).map { _ in Float(random.below(2000)) / 1000 - 1 }
        let labels = (0..<40).map { _ in Int32(random.below(2)) }
        let segments = [0..<7, 7..<7, 7..<20, 20..<40].enumerated().map {
            BatchSegment(rows: $1, random: UInt64($0))
        }
        let workspace = try NativeWorkspace(model, capacity: 40)
        let loss = try workspace.computeGradients(
            of: Self.batch(rows, labels: labels, width: 3), segments: segments, parameters: parameters.span)
        let together = segments.map { Self.gradient(of: $0, workspace, parameters) }
        var sum = ExactSum()
        for (segment, expected) in zip(segments, together) where !segment.rows.isEmpty {
            let own = segment.rows
            let alone = BatchSegment(rows: 0..<own.count, random: segment.random)
            sum += try workspace.computeGradients(
                of: Self.batch(
                    Array(rows[3 * own.lowerBound..<3 * own.upperBound]), labels: Array(labels[own]), width: 3),
                segments: [alone], parameters: parameters.span)
            #expect(Self.gradient(of: alone, workspace, parameters).map(\.bitPattern) == expected.map(\.bitPattern))
        }
        #expect(loss == sum)
    }

    @Test func tensorsAreNamedByTheirLayers() throws {
        let model = try NativeModel(inputs: 3, layers: Self.models[2])
        #expect(
            model.tensors.map(\.name) == [
                "dense1.weights", "dense1.biases", "dense2.weights", "dense2.biases", "dense3.weights",
                "dense3.biases",
            ])
        #expect(model.tensors[2].shape == [5, 6] && model.tensors.parameterCount == 24 + 35 + 6)
        #expect(model.tensors.ranges == [0..<18, 18..<24, 24..<54, 54..<59, 59..<64, 64..<65])
        #expect(model.outputs == 1)
    }

    @Test func initialValuesAreFixedForEverAndGlorotsRange() throws {
        let model = try NativeModel(
            inputs: 27,
            layers: [
                .dense(units: 128, activation: .relu), .dense(units: 64, activation: .relu),
                .dense(units: 1, activation: .sigmoid),
            ])
        let parameters = model.initialParameters(seed: 42)
        let limit = (6 / Float(27 + 128)).squareRoot()
        let weights = parameters[0..<27 * 128]
        #expect(weights.allSatisfy { abs($0) <= limit } && (weights.max() ?? 0) > 0.99 * limit)
        #expect(parameters[27 * 128..<28 * 128].allSatisfy { $0 == 0 })
        // The same numbers computed with NumPy.
        var hash = FNV1a()
        for value in parameters { hash.combine(UInt64(value.bitPattern)) }
        #expect(hash.value == 0x1914_3975_d904_b889)
    }

    @Test func wrongSizesAreErrors() throws {
        let model = try NativeModel(inputs: 3, layers: Self.models[0])
        let parameters = model.initialParameters(seed: 1)
        let workspace = try NativeWorkspace(model, capacity: 2)
        let large = Self.batch(.init(repeating: 0, count: 9), labels: [0, 1, 0], width: 3)
        #expect(throws: InputError.self) {
            _ = try workspace.computeGradients(
                of: large, segments: [BatchSegment(rows: 0..<large.sampleCount, random: 1)], parameters: parameters.span
            )
        }
        let narrow = Self.batch([1, 2], labels: [0], width: 2)
        #expect(throws: InputError.self) {
            _ = try workspace.computeGradients(
                of: narrow, segments: [BatchSegment(rows: 0..<narrow.sampleCount, random: 1)],
                parameters: parameters.span)
        }
        let short = Array(parameters.dropLast())
        let fitting = Self.batch([1, 2, 3], labels: [0], width: 3)
        #expect(throws: InputError.self) {
            _ = try workspace.computeGradients(
                of: fitting, segments: [BatchSegment(rows: 0..<fitting.sampleCount, random: 1)], parameters: short.span)
        }
        #expect(throws: InputError.self) {
            _ = try NativeModel(inputs: 1 << 20, layers: [.dense(units: 65_536, activation: .relu)])
        }
        #expect(throws: InputError.self) {
            _ = try NativeModel(inputs: .max, layers: [.dense(units: 2, activation: .relu)])
        }
        #expect(throws: InputError.self) { _ = try NativeModel(inputs: 3, layers: [.dropout(rate: 0.5)]) }
        #expect(throws: InputError.self) { _ = try NativeWorkspace(model, capacity: .max) }
    }

    @Test func aStepOfEachOptimizerIsItsFormula() {
        // One tensor of two numbers; the mean gradients are 0.5 and -2.
        let sums: [Int64] = [1, -4]
        var parameters: [Float] = [1, 1]
        let sgd = SGD(.init(learningRate: 0.1))
        var state = OptimizerState(sgd, parameterCount: 2)
        sgd.beginStep(&state)
        var scalars = state.scalars
        ParameterView.with(&parameters, &state, sums.span) {
            sgd.update($0, in: 0..<2, unit: 0.5, rate: 0.1, scalars: scalars)
        }
        #expect(abs(parameters[0] - 0.95) < 1e-6 && abs(parameters[1] - 1.2) < 1e-6 && state.slots.isEmpty)
        parameters = [1, 1]
        let adam = Adam(.init(learningRate: 0.1), decoupled: false)
        state = OptimizerState(adam, parameterCount: 2)
        adam.beginStep(&state)
        scalars = state.scalars
        ParameterView.with(&parameters, &state, sums.span) {
            adam.update($0, in: 0..<2, unit: 0.5, rate: 0.1, scalars: scalars)
        }
        // The first step of Adam goes by the learning rate against the gradient's sign.
        #expect(abs(parameters[0] - 0.9) < 1e-5 && abs(parameters[1] - 1.1) < 1e-5)
        #expect(abs(state.slots[0] - 0.05) < 1e-7 && abs(state.slots[1] + 0.2) < 1e-7)
        #expect(abs(state.slots[2] - 0.000_25) < 1e-8 && abs(state.slots[3] - 0.004) < 1e-7)
        #expect(state.scalars == [0.9, 0.999])
    }

    static let optimizers: [JobDescription.Optimizer] = {
        var descent = JobDescription.GradientDescent()
        descent.momentum = 0.9
        var decaying = JobDescription.AdaptiveMoments()
        decaying.weightDecay = 0.1
        return [.adam(.init()), .sgd(descent), .adamW(decaying)]
    }()

    @Test(arguments: optimizers)
    func aStepInSharesIsTheStepAtOnce(_ settings: JobDescription.Optimizer) throws {
        let model = try NativeModel(
            inputs: 9,
            layers: [
                .dense(units: 7, activation: .relu), .batchNorm(momentum: 0.1, epsilon: 1e-5),
                .dense(units: 1, activation: .sigmoid),
            ])
        let optimizer = settings.implementation
        var serial = TrainingState(model, optimizer, seed: 3)
        var shared = serial
        var random = SeededRandom(seed: 5)
        let loop = ParallelLoop(count: 5) { body in for share in (0..<5).reversed() { body(share) } }
        for step in 0..<4 {
            // Sums of other sizes from step to step, so that multipliers change as well.
            let sums = serial.parameters.map { _ in Int64(bitPattern: random.next()) >> (14 + 9 * Int64(step)) }
            serial.apply(sums.span, weight: 12, optimizer, rate: 0.01)
            shared.apply(sums.span, weight: 12, optimizer, rate: 0.01, loop: loop)
            #expect(shared == serial)
        }
        #expect(serial.parameters != TrainingState(model, optimizer, seed: 3).parameters)
    }
}
