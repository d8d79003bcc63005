package import Bytes
import Cluster
package import Features
import FoundationEssentials
import SwiftProtobuf

extension ONNXModel {
    /// What an ONNX file of ours holds.
    package struct Imported: Sendable {
        /// The layers, without those that do something in training only.
        package var model: NativeModel
        /// The values of all its tensors.
        package var parameters: [Float]
        /// One number for each feature.
        package var normalisation: Normalisation
    }

    /// The largest extent of an axis.
    private static let maxExtent = 1 << 24
    /// The most operators of a graph.
    private static let maxNodes = 4096

    /// Reads what `export` writes. Nothing is allocated beyond the size of the bytes.
    ///
    /// - Throws: `InputError` where the bytes are not ONNX, or are another graph: this node serves no foreign models
    /// yet.
    package static func load(_ bytes: [UInt8]) throws(InputError) -> Imported {
        guard let onnx = try? Onnx_ModelProto(serializedBytes: bytes) else {
            throw InputError(.corrupt, "these bytes are not an ONNX model")
        }
        guard onnx.opsetImport.contains(where: { $0.domain.isEmpty && $0.version == opset }) else {
            throw InputError(
                .unsupported, "the ONNX model uses another set of operators", expected: "version \(opset)",
                found: onnx.opsetImport.map { "\($0.domain) \($0.version)" }.joined(separator: ", "))
        }
        let tensors = try Tensors(onnx.graph)
        var normalisation = Normalisation([])
        normalisation.offset = try tensors.floats("offset").values
        normalisation.scale = try tensors.floats("scale").values
        normalisation.fill = try tensors.floats("fill").values
        let inputs = normalisation.offset.count
        let (layers, parameters) = try layers(onnx.graph, tensors, inputs: inputs)
        guard !layers.isEmpty, normalisation.scale.count == inputs, normalisation.fill.count == inputs else {
            throw InputError(.unsupported, "the ONNX graph is not one that Beamline wrote")
        }
        return Imported(
            model: try NativeModel(inputs: inputs, layers: layers), parameters: parameters, normalisation: normalisation
        )
    }

    /// The activations that have an ONNX operator, by its name.
    private static let activations: [String: JobDescription.Activation] = {
        var activations: [String: JobDescription.Activation] = [:]
        for activation in JobDescription.Activation.allCases {
            if let name = activation.layer([1])?.onnxOperator { activations[name] = activation }
        }
        return activations
    }()

    private static func layers(
        _ graph: Onnx_GraphProto, _ tensors: Tensors, inputs: Int
    ) throws(InputError) -> (layers: [JobDescription.Layer], parameters: [Float]) {
        guard graph.node.count <= maxNodes else {
            throw InputError(
                .limit, "the ONNX graph has too many operators", expected: "at most \(maxNodes)",
                found: "\(graph.node.count)")
        }
        var layers: [JobDescription.Layer] = []
        var parameters: [Float] = []
        var width = inputs
        for (position, node) in graph.node.enumerated() where node.opType == "Gemm" {
            let weights = try tensors.floats("weights\(layers.count)")
            let biases = try tensors.floats("biases\(layers.count)")
            guard weights.shape.count == 2, weights.shape[1] == width, biases.shape == [weights.shape[0]] else {
                throw InputError(
                    .corrupt, "a layer does not fit the one before it", object: "weights\(layers.count)",
                    expected: "[units, \(width)] and [units]", found: "\(weights.shape) and \(biases.shape)")
            }
            let next = position + 1 < graph.node.count ? graph.node[position + 1].opType : ""
            layers.append(.dense(units: weights.shape[0], activation: activations[next] ?? .linear))
            parameters += weights.values
            parameters += biases.values
            width = weights.shape[0]
        }
        return (layers, parameters)
    }

    /// A graph's tensors by name.
    private struct Tensors {
        private var byName: [String: Onnx_TensorProto] = [:]

        init(_ graph: Onnx_GraphProto) throws(InputError) {
            for tensor in graph.initializer {
                guard byName.updateValue(tensor, forKey: tensor.name) == nil else {
                    throw InputError(.corrupt, "a tensor of the ONNX graph is duplicated", object: tensor.name)
                }
            }
        }

        func floats(_ name: String) throws(InputError) -> (shape: [Int], values: [Float]) {
            guard let tensor = byName[name], tensor.dataType == float32 else {
                throw InputError(.unsupported, "the ONNX graph lacks a Float32 tensor", object: name)
            }
            let shape = tensor.dims.map { Int($0) }
            let stored = tensor.rawData.count / MemoryLayout<Float>.size
            guard shape.count <= 2, shape.allSatisfy({ (1...maxExtent).contains($0) }),
                shape.reduce(1, *) == stored, tensor.rawData.count % MemoryLayout<Float>.size == 0
            else {
                throw InputError(
                    .corrupt, "the size of a tensor contradicts its shape", object: name,
                    expected: "up to two axes of 1 to \(maxExtent), and their product of values",
                    found: "\(shape) and \(stored) values")
            }
            let values = tensor.rawData.withUnsafeBytes { raw in
                (0..<stored).map {
                    Float(bitPattern: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))
                }
            }
            return (shape, values)
        }
    }
}
