import Cluster
import Features
import Models
import Testing

/// What every kind of layer must do. A new case of `JobDescription.Layer` does not compile until it stands here.
@Suite struct LayerKindTests {
    static let all: [JobDescription.Layer] = Array(
        sequence(state: JobDescription.Layer?.none) { last in
            last = following(last)
            return last
        })

    private static func following(_ layer: JobDescription.Layer?) -> JobDescription.Layer? {
        switch layer {
        case nil: .dense(units: 3, activation: .tanh)
        case .dense: .dropout(rate: 0.25)
        case .dropout: .activation(.gelu)
        case .activation: .batchNorm(momentum: 0.2, epsilon: 1e-3)
        case .batchNorm: .layerNorm(epsilon: 1e-3)
        case .layerNorm: .add(layer: 0)
        case .add: nil
        }
    }

    /// The exported model is read again with the same parameters, and gives the same scores.
    @Test(arguments: all) func isExportedAndReadAgain(_ layer: JobDescription.Layer) throws {
        let model = try NativeModel(
            inputs: 4, layers: [.dense(units: 5, activation: .tanh), layer, .dense(units: 1, activation: .sigmoid)])
        let schema = NativeModelTests.schema(width: 4)
        let parameters = model.initialParameters(seed: 3)
        let imported = try ONNXModel.load(try model.export(parameters, schema: schema, version: "test"))
        #expect(imported.parameters == parameters && imported.model.inputs == 4)
        let rows: [Float] = [0.1, -0.2, 0.3, 0.9, -1, 2, 0.5, 0]
        let batch = NativeModelTests.batch(rows, labels: [0, 1], width: 4)
        func scores(_ model: NativeModel, _ parameters: [Float]) throws -> [Float] {
            let workspace = try NativeWorkspace(model, capacity: 2)
            let found = try workspace.scores(of: batch, parameters: parameters.span)
            return (0..<found.count).map { found[$0] }
        }
        #expect(try scores(imported.model, imported.parameters) == scores(model, parameters))
    }
}
