import Cluster
import Features
import Foundation
import Models

extension Kind {
    private static let layers: [JobDescription.Layer] = [
        .dense(units: 5, activation: .relu), .dropout(rate: 0.5), .dense(units: 3, activation: .softmax),
    ]

    private static let network = Network(inputs: 4, layers: layers)

    private static func training(_ optimizer: JobDescription.Optimizer) -> TrainingPlan {
        var training = JobDescription.Training()
        training.layers = layers
        training.optimizer = optimizer
        return TrainingPlan(training, seed: 7)
    }

    private static let optimizers: [JobDescription.Optimizer] = [
        .sgd(learningRate: 0.1), .adam(learningRate: 0.001, beta1: 0.9, beta2: 0.999, epsilon: 1e-7),
    ]

    /// Checkpoints, and a step from what they give.
    static let checkpoint = Kind(
        name: "checkpoint", weight: 8,
        seeds: optimizers.enumerated().map { index, optimizer in
            Seed("optimizer \(index)", Checkpoint.encode(TrainingState(network, training(optimizer), seed: 7)))
        },
        read: { bytes in
            guard var state = try? Checkpoint.decode(bytes, for: network) else { return .rejected }
            let sums = [Int64](repeating: 1 << 40, count: network.parameterCount)
            state.apply(sums, weight: 1, optimizers[state.first.isEmpty ? 0 : 1], network)
            return .whole
        })

    private static let schema = DataSchema(
        flat: (0..<4).map {
            Channel(branch: "x\($0)", width: 1, jagged: false, offset: 0, scale: 1, fill: 0)
        })

    private static func onnxBytes() -> [UInt8] {
        let state = TrainingState(network, training(optimizers[0]), seed: 7)
        return (try? ONNXModel.export(TrainedModel(network, state.parameters, schema), version: "1")) ?? []
    }

    @Sendable private static func readModel(_ bytes: [UInt8]) -> Outcome {
        guard let model = try? ONNXModel.load(bytes) else { return .rejected }
        // A served row: what the graph declares must be what the parameters hold.
        guard model.network.inputs < 1 << 16 else { return .partly }
        _ = model.scores([Float](repeating: .nan, count: model.network.inputs), Workspace(model.network, capacity: 1))
        return .whole
    }

    /// Models as ONNX, and a row scored by what they give.
    static let onnx = Kind(name: "onnx", weight: 8, seeds: [Seed("dense", onnxBytes())], read: readModel)

    /// Bundles, with the model in them.
    static let bundle = Kind(
        name: "bundle", weight: 8,
        seeds: [
            Seed(
                "dense",
                Bundle.encode([
                    (Bundle.model, onnxBytes()),
                    (Bundle.schema, (try? JSONEncoder().encode(schema)).map { [UInt8]($0) } ?? []),
                    (Bundle.metrics, Array("{\"epochs\": []}".utf8)),
                ]))
        ],
        read: { bytes in
            guard let files = try? Bundle.decode(bytes), let model = files[Bundle.model] else { return .rejected }
            return readModel(model)
        })
}
