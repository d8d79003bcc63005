import Cluster
import Features
import Foundation
import Models

extension Kind {
    private static let layers: [JobDescription.Layer] = [
        .dense(units: 5, activation: .relu), .dropout(rate: 0.5), .dense(units: 3, activation: .softmax),
    ]

    private static let schema = DataSchema(
        flat: (0..<4).map { Channel(branch: "x\($0)", width: 1, jagged: false, offset: 0, scale: 1, fill: 0) })

    private static let model = try? NativeModel(inputs: 4, layers: layers)

    /// Checkpoints of one optimiser, and a step from what they give.
    private static func checkpointKind(_ name: String, _ optimizer: any Optimizer) -> Kind {
        Kind(
            name: name, weight: 4,
            seeds: [model.map { Seed(name, Checkpoint.encode(TrainingState($0, optimizer, seed: 7))) }]
                .compactMap { $0 },
            read: { bytes in
                guard let model, var state = try? Checkpoint.decode(bytes, tensors: model.tensors, optimizer) else {
                    return .rejected
                }
                let sums = [Int64](repeating: 1 << 40, count: model.tensors.parameterCount)
                state.apply(sums.span, weight: 1, optimizer, rate: 0.001)
                return .whole
            })
    }

    /// Checkpoints of plain descent.
    static let plainCheckpoint = checkpointKind("checkpoint-sgd", SGD(.init(learningRate: 0.1)))

    /// Checkpoints with two moments.
    static let checkpoint = checkpointKind(
        "checkpoint", Adam(.init(learningRate: 0.001), decoupled: false))

    private static func onnxBytes() -> [UInt8] {
        guard let model else { return [] }
        return (try? model.export(model.initialParameters(seed: 7), schema: schema, version: "1")) ?? []
    }

    /// Models as ONNX.
    static let onnx = Kind(
        name: "onnx", weight: 8, seeds: [Seed("dense", onnxBytes())],
        read: { bytes in
            guard let imported = try? ONNXModel.load(bytes) else { return .rejected }
            // A graph that is accepted can be written again.
            let again = try? ONNXModel.export(
                imported.model, parameters: imported.parameters, imported.normalisation, version: "1")
            return again == nil ? .partly : .whole
        })

    /// Bundles, and a sample scored by the model in them.
    static let bundle = Kind(
        name: "bundle", weight: 8,
        seeds: [
            Seed(
                "dense",
                ModelBundle([
                    .init(.model, onnxBytes()),
                    .init(.schema, (try? JSONEncoder().encode(schema)).map { [UInt8]($0) } ?? []),
                    .init(.metrics, Array("{\"epochs\": []}".utf8)),
                ]).encode())
        ],
        read: { bytes in
            guard let bundle = try? ModelBundle.decode(bytes) else { return .rejected }
            guard let predictor = try? NativePredictor(bundle) else { return .partly }
            let inputs = predictor.inputs.map { input in
                NamedTensor(
                    name: input.name, shape: [1] + input.shape, values: .init(repeating: .nan, count: input.count))
            }
            return (try? predictor.predict(inputs)) == nil ? .partly : .whole
        })
}
