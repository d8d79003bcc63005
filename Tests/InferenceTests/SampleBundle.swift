import Cluster
import Features
import Foundation
import Models

/// A small bundle whose score is the logistic function of `bias + a`.
func sampleBundle(bias: Float, features: [String] = ["a", "b"]) throws -> [UInt8] {
    let schema = DataSchema(
        flat: features.map { Channel(branch: $0, width: 1, jagged: false, offset: 0, scale: 1, fill: 0) })
    let model = try NativeModel(inputs: features.count, layers: [.dense(units: 1, activation: .sigmoid)])
    var parameters = [Float](repeating: 0, count: model.tensors.parameterCount)
    parameters[0] = 1
    parameters[features.count] = bias
    // The same content gives the same bytes.
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return ModelBundle([
        .init(.model, try model.export(parameters, schema: schema, version: "test")),
        .init(.schema, [UInt8](try encoder.encode(schema))),
    ]).encode()
}

/// The score that `sampleBundle` gives.
func sampleScore(bias: Double, a: Double) -> Double { 1 / (1 + exp(-(bias + a))) }
