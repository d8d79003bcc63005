package import Bytes
import CKernels
import Features
import Foundation
import Synchronization

/// A bundle of ours, served by `NativeModel`: normalises the features as its ONNX graph does, then scores them.
package final class NativePredictor: Predictor {
    package let inputs: [TensorSpec]
    package let outputs: [TensorSpec]
    package let features: [String]
    private let model: NativeModel
    private let parameters: [Float]
    private let normalisation: Normalisation
    private let idle = Mutex<[Workplace]>([])

    /// Samples that are computed at once.
    private static let batch = 64
    /// Workspaces that are kept while nobody needs them.
    private static let maxIdle = 64

    /// What one call computes with.
    // SAFETY: a workplace is taken out of `idle` by one call, used by it alone, and given back.
    private final class Workplace: @unchecked Sendable {
        private let workspace: NativeWorkspace
        /// Normalised features, `[batch, inputs]`.
        private let rows: AlignedBuffer
        private let width: Int

        init(_ model: NativeModel) throws(InputError) {
            workspace = try NativeWorkspace(model, capacity: NativePredictor.batch)
            width = model.inputs
            rows = AlignedBuffer(capacity: NativePredictor.batch * width * MemoryLayout<Float>.stride)
        }

        /// Appends the scores of the samples in `range`.
        ///
        /// - Parameter values: raw features, `[samples, inputs]`.
        func append(
            _ range: Range<Int>, of values: [Float], _ normalisation: Normalisation, parameters: [Float],
            to scores: inout [Float]
        ) throws(InputError) {
            precondition(range.upperBound * width <= values.count)
            let rows = rows.values(of: Float.self, count: range.count * width)
            values.withUnsafeBufferPointer { values in
                guard let values = values.baseAddress, let rows = rows.baseAddress else { return }
                for (row, sample) in range.enumerated() {
                    ck_normalise(
                        rows + row * width, values + sample * width, normalisation.offset, normalisation.scale,
                        normalisation.fill, width)
                }
            }
            let workspace = workspace
            let result = try workspace.scores(
                of: UnsafeBufferPointer(rows).span, samples: range.count, parameters: parameters.span)
            for index in 0..<result.count { scores.append(result[index]) }
        }
    }

    /// Loads a bundle.
    ///
    /// - Throws: `InputError` where the model and the schema are not understood or do not fit each other.
    package init(_ bundle: ModelBundle) throws(InputError) {
        let schema = try Self.schema(bundle)
        let imported = try ONNXModel.load(try bundle.content(.model))
        guard schema.inputs.count == 1, schema.inputs[0].kind == .flat else {
            throw InputError(
                .unsupported, "the bundle's model has inputs that are not served yet", expected: "one flat input",
                found: schema.inputs.map(\.name).joined(separator: ", "))
        }
        guard schema.flatWidth == imported.model.inputs else {
            throw InputError(
                .corrupt, "the bundle's model and its schema differ", expected: "\(schema.flatWidth) features",
                found: "\(imported.model.inputs)")
        }
        inputs = [TensorSpec(ONNXModel.inputName, shape: [imported.model.inputs])]
        outputs = [TensorSpec(ONNXModel.outputName, shape: [imported.model.outputs])]
        features = schema.names
        model = imported.model
        parameters = imported.parameters
        normalisation = imported.normalisation
        precondition([normalisation.scale, normalisation.fill].allSatisfy { $0.count == normalisation.offset.count })
    }

    private static func schema(_ bundle: ModelBundle) throws(InputError) -> DataSchema {
        let schema: DataSchema
        do { schema = try JSONDecoder().decode(DataSchema.self, from: Data(try bundle.content(.schema))) } catch {
            throw InputError(
                .corrupt, "the bundle's data schema cannot be read", object: ModelBundle.Name.schema.rawValue,
                found: "\(error)")
        }
        try schema.validate()
        return schema
    }

    /// Normalises the one input, raw features `[samples, features]`, and computes its scores, `[samples, outputs]`.
    ///
    /// - Throws: `InputError` where the request does not have exactly this input with at least one sample.
    package func predict(_ inputs: [NamedTensor]) throws(InputError) -> [NamedTensor] {
        let samples = try check(inputs)
        let known = idle.withLock { $0.popLast() }
        let workplace: Workplace
        if let known { workplace = known } else { workplace = try Workplace(model) }
        var scores: [Float] = []
        scores.reserveCapacity(samples * model.outputs)
        for start in stride(from: 0, to: samples, by: Self.batch) {
            try workplace.append(
                start..<min(start + Self.batch, samples), of: inputs[0].values, normalisation, parameters: parameters,
                to: &scores)
        }
        idle.withLock { if $0.count < Self.maxIdle { $0.append(workplace) } }
        return [NamedTensor(name: outputs[0].name, shape: [samples, model.outputs], values: scores)]
    }
}
