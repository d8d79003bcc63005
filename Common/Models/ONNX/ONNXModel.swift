import Bytes
import CKernels
import Cluster
import Features
import Foundation
import SwiftProtobuf

/// A trained network with its normalisation: what is exported, and what is served.
package struct TrainedModel: Sendable, Equatable {
    package var network: Network
    package var parameters: [Float]
    /// One for each feature.
    package var offset: [Float]
    package var scale: [Float]
    package var fill: [Float]

    package init(_ network: Network, _ parameters: [Float], _ schema: DataSchema) {
        self.network = network
        self.parameters = parameters
        let normalisation = Normalisation(schema.inputs.flatMap { $0.kind == .flat ? $0.channels : [] })
        (offset, scale, fill) = (normalisation.offset, normalisation.scale, normalisation.fill)
    }

    fileprivate init(network: Network, parameters: [Float], offset: [Float], scale: [Float], fill: [Float]) {
        (self.network, self.parameters, self.offset, self.scale, self.fill) = (network, parameters, offset, scale, fill)
    }

    /// Scores raw rows (NaN where a value is missing).
    ///
    /// - Returns: [rows, outputs] in C order.
    package func scores(_ rows: [Float], _ workspace: Workspace) -> [Float] {
        let width = network.inputs
        var result: [Float] = []
        let count = rows.count / width
        for start in stride(from: 0, to: count, by: workspace.capacity) {
            let size = min(workspace.capacity, count - start)
            rows.withUnsafeBufferPointer { source in
                for row in 0..<size {
                    ck_normalise(
                        workspace.input + row * width, source.baseAddress! + (start + row) * width, offset, scale, fill,
                        width)
                }
            }
            parameters.withUnsafeBufferPointer { workspace.forward($0.baseAddress!, rows: size) }
            result.append(contentsOf: UnsafeBufferPointer(start: workspace.output, count: size * network.outputs))
        }
        return result
    }
}

/// TrainedModel as ONNX: input `features` [N, F] in Float32 with NaN for missing, output `scores` [N, outputs].
package enum ONNXModel {
    package static let inputName = "features"
    package static let outputName = "scores"
    private static let operators: [JobDescription.Activation: String] = [
        .relu: "Relu", .tanh: "Tanh", .sigmoid: "Sigmoid", .softmax: "Softmax",
    ]

    package static func export(_ model: TrainedModel, version: String) throws -> [UInt8] {
        var graph = Onnx_GraphProto()
        graph.name = "beamline"
        let width = model.network.inputs
        graph.input = [value(inputName, width)]
        graph.output = [value(outputName, model.network.outputs)]
        graph.initializer = [
            tensor("offset", [width], model.offset), tensor("scale", [width], model.scale),
            tensor("fill", [width], model.fill),
        ]
        graph.node = [
            node("IsNaN", [inputName], "missing"), node("Sub", [inputName, "offset"], "shifted"),
            node("Mul", ["shifted", "scale"], "scaled"),
            node("Where", ["missing", "fill", "scaled"], "layer0"),
        ]
        for (index, layer) in model.network.layers.enumerated() {
            let last = index == model.network.layers.count - 1
            graph.initializer.append(
                tensor(
                    "weights\(index)", [layer.units, layer.inputs],
                    Array(model.parameters[layer.weights..<layer.biases])))
            graph.initializer.append(
                tensor(
                    "biases\(index)", [layer.units], Array(model.parameters[layer.biases..<layer.biases + layer.units]))
            )
            let output = last ? outputName : "layer\(index + 1)"
            var gemm = node(
                "Gemm", ["layer\(index)", "weights\(index)", "biases\(index)"],
                layer.activation == .linear ? output : "dense\(index)")
            gemm.attribute = [attribute("transB", 1)]
            graph.node.append(gemm)
            if let name = operators[layer.activation] {
                var activation = node(name, ["dense\(index)"], output)
                if layer.activation == .softmax { activation.attribute = [attribute("axis", -1)] }
                graph.node.append(activation)
            }
        }
        var onnx = Onnx_ModelProto()
        onnx.irVersion = 8
        onnx.producerName = "beamline"
        onnx.producerVersion = version
        onnx.graph = graph
        var set = Onnx_OperatorSetIdProto()
        set.version = 13
        onnx.opsetImport = [set]
        return try onnx.serializedBytes()
    }

    /// Reads what `export` writes.
    /// - Throws: `InputError` for another graph: this node serves no foreign models yet.
    package static func load(_ bytes: [UInt8]) throws(InputError) -> TrainedModel {
        guard let onnx = try? Onnx_ModelProto(serializedBytes: bytes) else {
            throw InputError(.corrupt, "this is no ONNX model")
        }
        var tensors: [String: Onnx_TensorProto] = [:]
        for tensor in onnx.graph.initializer { tensors[tensor.name] = tensor }
        func floats(_ name: String) throws(InputError) -> (dims: [Int], values: [Float]) {
            guard let tensor = tensors[name], tensor.dataType == 1 else {
                throw InputError(.unsupported, "the ONNX graph lacks the tensor \(name)")
            }
            let dims = tensor.dims.map(Int.init)
            guard dims.count <= 2, dims.allSatisfy({ $0 > 0 && $0 < 1 << 24 }),
                dims.reduce(1, *) * 4 == tensor.rawData.count
            else {
                throw InputError(.corrupt, "a tensor's size contradicts its shape", object: name)
            }
            let values = tensor.rawData.withUnsafeBytes { raw in
                (0..<raw.count / 4).map {
                    Float(bitPattern: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))
                }
            }
            return (dims, values)
        }
        let (offset, scale, fill) = (try floats("offset").values, try floats("scale").values, try floats("fill").values)
        var layers: [JobDescription.Layer] = []
        var parameters: [Float] = []
        var width = offset.count
        let nodes = onnx.graph.node
        for (place, node) in nodes.enumerated() where node.opType == "Gemm" {
            let weights = try floats("weights\(layers.count)")
            let biases = try floats("biases\(layers.count)")
            guard weights.dims.count == 2, weights.dims[1] == width, biases.dims == [weights.dims[0]] else {
                throw InputError(.corrupt, "a layer does not fit the one before it", object: "weights\(layers.count)")
            }
            let next = place + 1 < nodes.count ? nodes[place + 1].opType : ""
            let activation = operators.first { $0.value == next }?.key ?? .linear
            layers.append(.dense(units: weights.dims[0], activation: activation))
            parameters += weights.values + biases.values
            width = weights.dims[0]
        }
        guard !layers.isEmpty, scale.count == offset.count, fill.count == offset.count else {
            throw InputError(.unsupported, "the ONNX graph is not one that Beamline wrote")
        }
        return TrainedModel(
            network: Network(inputs: offset.count, layers: layers), parameters: parameters, offset: offset,
            scale: scale, fill: fill)
    }

    private static func tensor(_ name: String, _ dims: [Int], _ values: [Float]) -> Onnx_TensorProto {
        var tensor = Onnx_TensorProto()
        tensor.name = name
        tensor.dims = dims.map(Int64.init)
        tensor.dataType = 1
        tensor.rawData = values.map(\.bitPattern.littleEndian).withUnsafeBytes { Data($0) }
        return tensor
    }

    private static func node(_ type: String, _ inputs: [String], _ output: String) -> Onnx_NodeProto {
        var node = Onnx_NodeProto()
        (node.opType, node.input, node.output, node.name) = (type, inputs, [output], type + ":" + output)
        return node
    }

    private static func attribute(_ name: String, _ value: Int64) -> Onnx_AttributeProto {
        var attribute = Onnx_AttributeProto()
        (attribute.name, attribute.i, attribute.type) = (name, value, 2)
        return attribute
    }

    private static func value(_ name: String, _ width: Int) -> Onnx_ValueInfoProto {
        var rows = Onnx_TensorShapeProto.Dimension()
        rows.dimParam = "N"
        var columns = Onnx_TensorShapeProto.Dimension()
        columns.dimValue = Int64(width)
        var info = Onnx_ValueInfoProto()
        info.name = name
        info.type.tensorType.elemType = 1
        info.type.tensorType.shape.dim = [rows, columns]
        return info
    }
}
