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
        guard normalisation.scale.count == inputs, normalisation.fill.count == inputs else {
            throw InputError(
                .corrupt, "the normalisation in the ONNX graph is incomplete", expected: "\(inputs) numbers each",
                found: "\(normalisation.scale.count) and \(normalisation.fill.count)")
        }
        let model = try NativeModel(inputs: inputs, layers: try layers(onnx, tensors))
        let parameters = try parameters(of: model, tensors)
        try checkWiring(of: onnx.graph, model, parameters)
        return Imported(model: model, parameters: parameters, normalisation: normalisation)
    }

    /// The layers that the file names; where it is of an earlier version, those of its operators.
    private static func layers(
        _ onnx: Onnx_ModelProto, _ tensors: Tensors
    ) throws(InputError) -> [JobDescription.Layer] {
        guard onnx.graph.node.count <= maxNodes else {
            throw InputError(
                .limit, "the ONNX graph has too many operators", expected: "at most \(maxNodes)",
                found: "\(onnx.graph.node.count)")
        }
        guard let entry = onnx.metadataProps.first(where: { $0.key == layersKey }) else {
            return try denseLayers(onnx.graph, tensors)
        }
        let layers: [JobDescription.Layer]
        do { layers = try JSONDecoder().decode([JobDescription.Layer].self, from: Data(entry.value.utf8)) } catch {
            throw InputError(
                .corrupt, "the layers in the ONNX file cannot be read", object: layersKey, found: "\(error)")
        }
        guard layers.count <= maxNodes else {
            throw InputError(
                .limit, "the ONNX file has too many layers", expected: "at most \(maxNodes)",
                found: "\(layers.count)")
        }
        return layers
    }

    /// The layers of a file that does not name them: dense ones, each perhaps with an activation.
    private static func denseLayers(
        _ graph: Onnx_GraphProto, _ tensors: Tensors
    ) throws(InputError) -> [JobDescription.Layer] {
        let activations: [String: JobDescription.Activation] = [
            "Relu": .relu, "Tanh": .tanh, "Sigmoid": .sigmoid, "Softmax": .softmax,
        ]
        var layers: [JobDescription.Layer] = []
        for (position, node) in graph.node.enumerated() where node.opType == "Gemm" {
            let weights = try tensors.floats("weights\(layers.count)")
            guard weights.shape.count == 2 else {
                throw InputError(
                    .corrupt, "the weights of a layer have the wrong shape", object: "weights\(layers.count)",
                    expected: "two axes", found: "\(weights.shape)")
            }
            let next = position + 1 < graph.node.count ? graph.node[position + 1].opType : ""
            layers.append(.dense(units: weights.shape[0], activation: activations[next] ?? .linear))
        }
        guard !layers.isEmpty else {
            throw InputError(.unsupported, "the ONNX graph is not one that Beamline wrote")
        }
        return layers
    }

    /// The values of all the model's tensors.
    private static func parameters(of model: NativeModel, _ tensors: Tensors) throws(InputError) -> [Float] {
        // Nothing is allocated for a model whose tensors are not there.
        var parameters: [Float] = []
        for case .transform(let layer, let index, _) in model.stages {
            for tensor in layer.tensors {
                let name = layer.exportedName(of: tensor, index: index)
                let found = try tensors.floats(name)
                guard found.shape == tensor.shape else {
                    throw InputError(
                        .corrupt, "a layer does not fit the one before it", object: name,
                        expected: "\(tensor.shape)", found: "\(found.shape)")
                }
                parameters += found.values
            }
        }
        return parameters
    }

    /// Checks that the operators are those that `export` writes for the model: what is computed from the layers is then
    /// what the graph computes.
    private static func checkWiring(
        of graph: Onnx_GraphProto, _ model: NativeModel, _ parameters: [Float]
    ) throws(InputError) {
        var expected = ONNXGraph(name: graph.name)
        appendNormalisation(to: &expected)
        append(model, parameters, to: &expected)
        let nodes = expected.proto.node
        guard graph.node != nodes else { return }
        let index = zip(graph.node, nodes).prefix { $0 == $1 }.count
        func text(_ nodes: [Onnx_NodeProto]) -> String {
            guard nodes.indices.contains(index) else { return "no operator" }
            let node = nodes[index]
            return "\(node.opType)(\(node.input.joined(separator: ", "))) -> \(node.output.joined(separator: ", "))"
        }
        throw InputError(
            .unsupported, "the ONNX graph is not one that Beamline wrote: operator \(index + 1) differs",
            expected: text(nodes), found: text(graph.node))
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
