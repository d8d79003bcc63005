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
        /// JSON of the features; nil in files of earlier versions.
        fileprivate var featuresText: String?

        /// The branches of the features, in order; nil in files of earlier versions.
        ///
        /// - Throws: `InputError` where the file's text is not that, or is longer than the model's inputs explain.
        func features(maxBytes: Int) throws(InputError) -> [Feature]? {
            guard let featuresText else { return nil }
            do {
                guard featuresText.utf8.count <= maxBytes else {
                    throw InputError(
                        .corrupt, "the text is too long", expected: "at most \(maxBytes) bytes",
                        found: "\(featuresText.utf8.count)")
                }
                return try JSONDecoder().decode([Feature].self, from: Data(featuresText.utf8))
            } catch {
                throw InputError(
                    .corrupt, "the features in the ONNX file cannot be read", object: featuresKey, found: "\(error)")
            }
        }
    }

    /// The largest extent of an axis.
    private static let maxExtent = 1 << 24
    /// The most operators of a graph, and the most layers.
    private static let maxNodes = 4096
    /// The most bytes of the text that names the layers.
    private static let maxLayersBytes = 1 << 20

    /// Reads what `export` writes, and nothing else: what is computed from the layers is then what the graph computes.
    /// Nothing is allocated beyond a few times the size of the bytes.
    ///
    /// - Throws: `InputError` where the bytes are not ONNX, or differ anywhere from what `export` gives for the model
    ///   that was read: this node serves no foreign models yet.
    package static func load(_ bytes: [UInt8]) throws(InputError) -> Imported {
        try checkSize(bytes)
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
        var texts: [(key: String, value: String)] = []
        for key in [layersKey, featuresKey] {
            if let entry = onnx.metadataProps.first(where: { $0.key == key }) { texts.append((key, entry.value)) }
        }
        try check(onnx, is: message(model, parameters, normalisation, texts: texts, version: onnx.producerVersion))
        return Imported(
            model: model, parameters: parameters, normalisation: normalisation,
            featuresText: texts.first { $0.key == featuresKey }?.value)
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
        guard entry.value.utf8.count <= maxLayersBytes else {
            throw InputError(
                .limit, "the text that names the layers is too long", object: layersKey,
                expected: "at most \(maxLayersBytes) bytes", found: "\(entry.value.utf8.count)")
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
        var names: [String] = []
        for case .transform(let layer, let index, _) in model.stages {
            for tensor in layer.tensors {
                let name = layer.exportedName(of: tensor, index: index)
                let found = try tensors.shape(name)
                guard found == tensor.shape else {
                    throw InputError(
                        .corrupt, "a layer does not fit the one before it", object: name,
                        expected: "\(tensor.shape)", found: "\(found)")
                }
                names.append(name)
            }
        }
        // Nothing is allocated for a model whose tensors are not there.
        var parameters: [Float] = []
        parameters.reserveCapacity(model.tensors.parameterCount)
        for name in names { parameters += try tensors.floats(name).values }
        return parameters
    }

    /// Checks that a file is the expected one, part by part, so that the error names the part.
    private static func check(_ onnx: Onnx_ModelProto, is expected: Onnx_ModelProto) throws(InputError) {
        guard onnx != expected else { return }
        let (graph, other) = (onnx.graph, expected.graph)
        guard graph.node == other.node else { throw wiring(graph.node, expected: other.node) }
        if let index = graph.initializer.indices.first(where: {
            !other.initializer.indices.contains($0) || graph.initializer[$0] != other.initializer[$0]
        }) {
            throw foreign("tensor \(graph.initializer[index].name)")
        }
        guard graph.initializer == other.initializer else { throw foreign("the list of its tensors") }
        guard graph.input == other.input, graph.output == other.output else { throw foreign("its inputs or outputs") }
        guard onnx.metadataProps == expected.metadataProps else { throw foreign("its texts") }
        throw foreign("something besides its operators and tensors")
    }

    private static func foreign(_ part: String) -> InputError {
        InputError(
            .unsupported, "the ONNX graph is not one that Beamline wrote: \(part) differs from what it would write")
    }

    private static func wiring(_ found: [Onnx_NodeProto], expected: [Onnx_NodeProto]) -> InputError {
        let index = zip(found, expected).prefix { $0 == $1 }.count
        func text(_ nodes: [Onnx_NodeProto]) -> String {
            guard nodes.indices.contains(index) else { return "no operator" }
            let node = nodes[index]
            return "\(node.opType)(\(node.input.joined(separator: ", "))) -> \(node.output.joined(separator: ", "))"
        }
        return InputError(
            .unsupported, "the ONNX graph is not one that Beamline wrote: operator \(index + 1) differs",
            expected: text(expected), found: text(found))
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

        func shape(_ name: String) throws(InputError) -> [Int] { try tensor(name).shape }

        func floats(_ name: String) throws(InputError) -> (shape: [Int], values: [Float]) {
            let (tensor, shape) = try tensor(name)
            let values = tensor.rawData.withUnsafeBytes { raw in
                (0..<raw.count / MemoryLayout<Float>.size).map {
                    Float(bitPattern: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))
                }
            }
            return (shape, values)
        }

        /// A tensor whose values are as many as its shape requires.
        private func tensor(_ name: String) throws(InputError) -> (tensor: Onnx_TensorProto, shape: [Int]) {
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
            return (tensor, shape)
        }
    }
}
