package import Bytes
package import Features
import FoundationEssentials
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
    /// The key under which the file has the model's layers, as the job description has them.
    static let layersKey = "beamline.layers"
    /// The key under which the file has the features' branches, in order, as JSON of `Feature`. Files of earlier
    /// versions do not have it.
    static let featuresKey = "beamline.features"
    /// ONNX's number of the type Float32.
    static let float32: Int32 = 1

    /// A branch and how many features it gives: what ties a file to its data schema.
    package struct Feature: Codable, Sendable, Equatable, CustomStringConvertible {
        var branch: String
        /// Whether the number of the branch's items varies from entry to entry.
        var jagged: Bool
        var width: Int

        /// The features that a channel gives.
        package init(_ channel: Channel) {
            (branch, jagged, width) = (channel.branch, channel.jagged, channel.width)
        }

        package var description: String { "\(branch) (\(width) \(jagged ? "of a varying number" : "in each entry"))" }
    }

    /// Writes a model.
    ///
    /// - Parameters:
    ///   - parameters: the values of all the model's tensors.
    ///   - normalisation: one number for each feature.
    ///   - features: the branches of the features, in order; empty leaves them out.
    ///   - version: the producer's version.
    /// - Throws: `InputError` where the arrays do not fit the model.
    package static func export(
        _ model: NativeModel, parameters: [Float], _ normalisation: Normalisation, features: [Feature] = [],
        version: String
    ) throws(InputError) -> [UInt8] {
        guard parameters.count == model.tensors.parameterCount, normalisation.offset.count == model.inputs else {
            throw InputError(
                .input, "the parameters or the normalisation do not fit the model",
                expected: "\(model.tensors.parameterCount) parameters, \(model.inputs) features",
                found: "\(parameters.count) and \(normalisation.offset.count)")
        }
        var texts = [(key: layersKey, value: try json(model.layers))]
        if !features.isEmpty { texts.append((featuresKey, try json(features))) }
        let onnx = message(model, parameters, normalisation, texts: texts, version: version)
        do { return try onnx.serializedBytes() } catch {
            throw InputError(.limit, "the model cannot be written as ONNX", found: "\(error)")
        }
    }

    private static func json(_ value: some Encodable) throws(InputError) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        do { return String(decoding: try encoder.encode(value), as: UTF8.self) } catch {
            throw InputError(.corrupt, "the model's layers or features cannot be written", found: "\(error)")
        }
    }

    /// The whole file. The same arguments give the same message.
    ///
    /// - Parameters:
    ///   - parameters: as many as the model has.
    ///   - normalisation: as many numbers as the model has inputs.
    ///   - texts: the file's own texts, by key.
    static func message(
        _ model: NativeModel, _ parameters: [Float], _ normalisation: Normalisation,
        texts: [(key: String, value: String)], version: String
    ) -> Onnx_ModelProto {
        var graph = ONNXGraph(name: "beamline")
        graph.input(inputName, shape: [model.inputs])
        graph.output(outputName, shape: [model.outputs])
        graph.tensor("offset", shape: [model.inputs], normalisation.offset)
        graph.tensor("scale", shape: [model.inputs], normalisation.scale)
        graph.tensor("fill", shape: [model.inputs], normalisation.fill)
        appendNormalisation(to: &graph)
        append(model, parameters, to: &graph)
        var onnx = Onnx_ModelProto()
        onnx.irVersion = 8
        onnx.producerName = "beamline"
        onnx.producerVersion = version
        onnx.graph = graph.proto
        var set = Onnx_OperatorSetIdProto()
        set.version = opset
        onnx.opsetImport = [set]
        onnx.metadataProps = texts.map { key, value in
            var entry = Onnx_StringStringEntryProto()
            (entry.key, entry.value) = (key, value)
            return entry
        }
        return onnx
    }

    /// Appends the operators that fill missing values and normalise the others.
    static func appendNormalisation(to graph: inout ONNXGraph) {
        graph.node("IsNaN", [inputName], "missing")
        graph.node("Sub", [inputName, "offset"], "shifted")
        graph.node("Mul", ["shifted", "scale"], "scaled")
        graph.node("Where", ["missing", "fill", "scaled"], "layer0")
    }

    /// Appends the layers that do something outside of training. Their values are named `layer0`, `layer1`, ...; where
    /// an activation follows, what comes between is `dense0`, ....
    static func append(_ model: NativeModel, _ parameters: [Float], to graph: inout ONNXGraph) {
        let exported = model.stages.indices.filter { index in
            if case .inPlace(let layer, _) = model.stages[index] { layer.isExported } else { true }
        }
        /// The value that each stage gives; one that does nothing gives what came in.
        var names: [String] = []
        var input = "layer0"
        var values = 0
        for (index, stage) in model.stages.enumerated() {
            let isLast = index == exported.last
            var isActivated = false
            if let next = exported.first(where: { $0 > index }), case .inPlace = model.stages[next] {
                isActivated = true
            }
            switch stage {
            case .transform(let layer, let number, let range):
                values += 1
                let output =
                    isLast
                    ? outputName : isActivated ? "\(type(of: layer).kind)\(number)" : "layer\(values)"
                layer.export(
                    to: &graph, parameters: parameters[range], index: number, input: input, output: output)
                input = output
            case .inPlace(let layer, _):
                guard layer.isExported else { break }
                // Several activations in a row have a number each.
                let output =
                    isLast ? outputName : names.last == "layer\(values)" ? "layer\(values).\(index)" : "layer\(values)"
                layer.export(to: &graph, input: input, output: output)
                input = output
            case .add(let source):
                values += 1
                let output = isLast ? outputName : "layer\(values)"
                graph.node("Add", [input, names[source]], output)
                input = output
            }
            names.append(input)
        }
    }
}
