package import Bytes
package import Features
import SwiftProtobuf

/// A `NativeModel` with its normalisation as ONNX: input `features` [N, F] in Float32 with NaN for a missing value,
/// output `scores` [N, outputs].
package enum ONNXModel {
    /// The version of the operators that the graph uses.
    static let opset: Int64 = 13
    /// The name of the graph's input.
    package static let inputName = DataSchema.flatName
    /// The name of the graph's output.
    package static let outputName = "scores"
    /// ONNX's number of the type Float32.
    static let float32: Int32 = 1

    /// Writes a model.
    ///
    /// - Parameters:
    ///   - parameters: the values of all the model's tensors.
    ///   - normalisation: one number for each feature.
    ///   - version: the producer's version.
    /// - Throws: `InputError` where the arrays do not fit the model.
    package static func export(
        _ model: NativeModel, parameters: [Float], _ normalisation: Normalisation, version: String
    ) throws(InputError) -> [UInt8] {
        guard parameters.count == model.tensors.parameterCount, normalisation.offset.count == model.inputs else {
            throw InputError(
                .input, "the parameters or the normalisation do not fit the model",
                expected: "\(model.tensors.parameterCount) parameters, \(model.inputs) features",
                found: "\(parameters.count) and \(normalisation.offset.count)")
        }
        var graph = ONNXGraph(name: "beamline")
        graph.input(inputName, shape: [model.inputs])
        graph.output(outputName, shape: [model.outputs])
        graph.tensor("offset", shape: [model.inputs], normalisation.offset)
        graph.tensor("scale", shape: [model.inputs], normalisation.scale)
        graph.tensor("fill", shape: [model.inputs], normalisation.fill)
        graph.node("IsNaN", [inputName], "missing")
        graph.node("Sub", [inputName, "offset"], "shifted")
        graph.node("Mul", ["shifted", "scale"], "scaled")
        graph.node("Where", ["missing", "fill", "scaled"], "layer0")
        append(model, parameters, to: &graph)
        var onnx = Onnx_ModelProto()
        onnx.irVersion = 8
        onnx.producerName = "beamline"
        onnx.producerVersion = version
        onnx.graph = graph.proto
        var set = Onnx_OperatorSetIdProto()
        set.version = opset
        onnx.opsetImport = [set]
        do { return try onnx.serializedBytes() } catch {
            throw InputError(.limit, "the model cannot be written as ONNX", found: "\(error)")
        }
    }

    /// Appends the layers that do something outside of training. Their values are named `layer0`, `layer1`, ...; where
    /// an activation follows, what comes between is `dense0`, ....
    private static func append(_ model: NativeModel, _ parameters: [Float], to graph: inout ONNXGraph) {
        let stages = model.stages.filter { stage in
            if case .inPlace(let layer) = stage { layer.onnxOperator != nil } else { true }
        }
        var input = "layer0"
        var transforms = 0
        for (position, stage) in stages.enumerated() {
            let isLast = position == stages.count - 1
            switch stage {
            case .transform(let layer, let index, let range):
                var isActivated = false
                if !isLast, case .inPlace = stages[position + 1] { isActivated = true }
                transforms += 1
                let output =
                    isActivated ? "\(type(of: layer).kind)\(index)" : isLast ? outputName : "layer\(transforms)"
                layer.export(
                    to: &graph, parameters: parameters[range], index: index, input: input, output: output)
                input = output
            case .inPlace(let layer):
                guard let name = layer.onnxOperator else { continue }
                let output = isLast ? outputName : "layer\(transforms)"
                graph.node(name, [input], output, attributes: name == "Softmax" ? [("axis", -1)] : [])
                input = output
            }
        }
    }
}
