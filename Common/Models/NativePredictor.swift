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
    /// What the model takes of memory.
    package let footprint: ModelFootprint
    private let model: NativeModel
    private let parameters: [Float]
    private let normalisation: Normalisation
    private let layout: WorkspaceLayout
    /// Samples that are computed at once.
    private let batch: Int
    private let idle = Mutex<[Workplace]>([])
    /// Workspaces that are kept while nobody needs them.
    private let maxIdle: Int

    /// The most samples that are computed at once.
    private static let maxBatch = 64
    /// Bytes of a workspace below which the batch is not made smaller, as far as samples are concerned.
    private static let workspaceBytes = 8 << 20
    /// Bytes of workspaces that are kept while nobody needs them; one is kept in any case.
    private static let idleBytes = 64 << 20
    /// The most values of an answer: 64 MiB of them.
    package static let maxAnswerValues = 1 << 24

    /// What one call computes with.
    // SAFETY: a workplace is taken out of `idle` by one call, used by it alone, and given back.
    private final class Workplace: @unchecked Sendable {
        private let workspace: NativeWorkspace
        /// Normalised features, `[batch, inputs]`.
        private let rows: AlignedBuffer
        private let width: Int

        init(_ model: NativeModel, _ layout: WorkspaceLayout, batch: Int) throws(InputError) {
            workspace = try NativeWorkspace(model, layout, capacity: batch)
            width = model.inputs
            rows = AlignedBuffer(capacity: batch * width * MemoryLayout<Float>.stride)
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
    /// - Parameters:
    ///   - calls: calls of `predict` at once, at least 1; more are computed too, and take more than the footprint.
    ///   - admit: asked whether there is room, before anything is allocated beyond the size of the bundle.
    /// - Throws: `InputError` where the model and the schema are not understood or do not fit each other, and what
    ///   `admit` throws.
    package init(
        _ bundle: ModelBundle, calls: Int = 1, admit: (ModelFootprint) throws(InputError) -> Void = { _ in }
    ) throws(InputError) {
        let document = try bundle.content(.schema)
        let schema = try Self.schema(document)
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
        try Self.check(schema.channels, imported, maxTextBytes: 2 * document.count + 1024)
        let layout = WorkspaceLayout(imported.model, for: .scoring)
        let perSample = MemoryLayout<Float>.stride * (layout.floatsPerSample + imported.model.inputs)
        let batch = max(1, min(Self.maxBatch, Self.workspaceBytes / max(1, perSample)))
        let parameterBytes = MemoryLayout<Float>.stride * (imported.parameters.count + 3 * imported.model.inputs)
        let rowBytes = MemoryLayout<Float>.stride * imported.model.inputs * batch
        let footprint = ModelFootprint(
            resident: ModelFootprint.sum(parameterBytes, ModelFootprint.names(schema)),
            workspace: ModelFootprint.sum(layout.bytes(capacity: batch), rowBytes), calls: max(1, calls))
        try admit(footprint)
        self.footprint = footprint
        self.layout = layout
        self.batch = batch
        maxIdle = max(1, min(footprint.calls, Self.idleBytes / max(1, footprint.workspace)))
        inputs = [TensorSpec(ONNXModel.inputName, shape: [imported.model.inputs])]
        outputs = [TensorSpec(ONNXModel.outputName, shape: [imported.model.outputs])]
        features = schema.names
        model = imported.model
        parameters = imported.parameters
        normalisation = imported.normalisation
        precondition([normalisation.scale, normalisation.fill].allSatisfy { $0.count == normalisation.offset.count })
    }

    /// Checks that the schema is the one that the model was written with: its normalisation, and, where the file names
    /// them, its branches in their order.
    private static func check(
        _ channels: [Channel], _ imported: ONNXModel.Imported, maxTextBytes: Int
    ) throws(InputError) {
        let normalisation = imported.normalisation
        var start = 0
        for channel in channels {
            let range = start..<start + channel.width
            guard normalisation.offset[range].allSatisfy({ $0 == channel.offset }),
                normalisation.scale[range].allSatisfy({ $0 == channel.scale }),
                normalisation.fill[range].allSatisfy({ $0 == channel.fill })
            else {
                throw InputError(
                    .corrupt, "the bundle's model normalises a branch otherwise than its schema",
                    object: channel.branch,
                    expected: "offset \(normalisation.offset[start]), scale \(normalisation.scale[start]), "
                        + "fill \(normalisation.fill[start])",
                    found: "offset \(channel.offset), scale \(channel.scale), fill \(channel.fill)")
            }
            start = range.upperBound
        }
        guard let features = try imported.features(maxBytes: maxTextBytes) else { return }
        let found = channels.map { ONNXModel.Feature($0) }
        guard features != found else { return }
        let index = zip(features, found).prefix { $0 == $1 }.count
        func text(_ list: [ONNXModel.Feature]) -> String {
            list.indices.contains(index) ? list[index].description : "no more"
        }
        throw InputError(
            .corrupt, "the bundle's model and its schema differ: feature \(index + 1) is another",
            expected: text(features), found: text(found))
    }

    /// The bundle's schema. Nothing is allocated for the widths that it announces.
    private static func schema(_ document: [UInt8]) throws(InputError) -> DataSchema {
        let schema: DataSchema
        do { schema = try JSONDecoder().decode(DataSchema.self, from: Data(document)) } catch {
            throw InputError(
                .corrupt, "the bundle's data schema cannot be read", object: ModelBundle.Name.schema.rawValue,
                found: "\(error)")
        }
        try schema.validate()
        return schema
    }

    /// Normalises the one input, raw features `[samples, features]`, and computes its scores, `[samples, outputs]`.
    ///
    /// - Throws: `InputError` where the request does not have exactly this input with at least one sample, or its
    ///   answer would be too large.
    package func predict(_ inputs: [NamedTensor]) throws(InputError) -> [NamedTensor] {
        let samples = try check(inputs)
        let (values, isTooLarge) = samples.multipliedReportingOverflow(by: model.outputs)
        guard !isTooLarge, values <= Self.maxAnswerValues || samples == 1 else {
            throw InputError(
                .limit, "the answer would be too large", expected: "at most \(Self.maxAnswerValues) scores",
                found: "\(samples) samples of \(model.outputs)", hint: "Send fewer samples at once.")
        }
        let known = idle.withLock { $0.popLast() }
        let workplace: Workplace
        if let known { workplace = known } else { workplace = try Workplace(model, layout, batch: batch) }
        var scores: [Float] = []
        scores.reserveCapacity(values)
        for start in stride(from: 0, to: samples, by: batch) {
            try workplace.append(
                start..<min(start + batch, samples), of: inputs[0].values, normalisation, parameters: parameters,
                to: &scores)
        }
        idle.withLock { if $0.count < maxIdle { $0.append(workplace) } }
        return [NamedTensor(name: outputs[0].name, shape: [samples, model.outputs], values: scores)]
    }
}
