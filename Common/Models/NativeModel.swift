package import Bytes
package import Cluster
package import Features
import Sampling

/// A model of our own layers, computed on the worker's threads. Its results depend on its inputs and its parameters
/// alone: they are the same bits on every host.
package struct NativeModel: TrainableModel {
    /// A layer with what the model knows of it.
    enum Stage: Sendable {
        /// - Parameters:
        ///   - index: the number of transform layers before it.
        ///   - parameters: where the layer's tensors lie among the model's.
        case transform(any TransformLayer, index: Int, parameters: Range<Int>)
        /// - Parameter keepsInput: whether the layer overwrites a copy of its input.
        case inPlace(any InPlaceLayer, keepsInput: Bool)
        /// Adds what an earlier stage made, by its index.
        case add(stage: Int)
    }

    /// The most parameters that a model may have: 2 GiB of them.
    package static let maxParameters = 1 << 29

    /// The number of features of one sample.
    package let inputs: Int
    /// The layers as the job has them.
    package let layers: [JobDescription.Layer]
    package let loss: Loss
    package let tensors: [TensorSpec]
    /// The layers, in order.
    let stages: [Stage]

    /// Floats from one sample's line of `width` values to the next: whole vectors of 16.
    static func lineLength(_ width: Int) -> Int { (width + 15) / 16 * 16 }

    /// The number of scores of one sample.
    package var outputs: Int { loss.outputs }

    /// Creates the model that a job describes.
    ///
    /// - Parameters:
    ///   - inputs: the number of features of one sample.
    ///   - layers: with at least one dense layer. Dropout layers in a row are one; those after the last dense layer are
    ///     left out.
    ///   - loss: what is minimised; nil for the cross-entropy of as many scores as the last layer gives.
    /// - Throws: `InputError` with `.limit` for too many parameters, with `.input` where no layer is dense, or a layer
    ///   does not fit those before it.
    package init(inputs: Int, layers: [JobDescription.Layer], loss: Loss? = nil) throws(InputError) {
        let sources = Set(layers.compactMap { if case .add(let layer) = $0 { layer } else { nil } })
        var builder = ModelBuilder(width: inputs)
        for (position, layer) in layers.enumerated() {
            try builder.append(layer, position: position, isSource: sources.contains(position))
        }
        guard builder.denseCount > 0 else {
            throw InputError(.input, "the model has no dense layer", expected: "at least one")
        }
        self.inputs = inputs
        self.layers = layers
        self.loss = loss ?? Loss(outputs: builder.width)
        guard self.loss.outputs == builder.width else {
            throw InputError(
                .input, "the loss does not fit the model's last layer", expected: "\(self.loss.outputs) units",
                found: "\(builder.width)")
        }
        if case .value = self.loss.scores {
            guard case .dense(units: 1, activation: .linear, _)? = layers.last else {
                throw InputError(
                    .input, "a target needs another last layer", expected: "dense: {units: 1, activation: linear}",
                    found: layers.last.map { "\($0)" } ?? "none")
            }
        }
        tensors = builder.tensors
        stages = builder.stages
    }

    /// The parameters with which training begins, drawn for each layer from a random stream of its own.
    package func initialParameters(seed: UInt64) -> [Float] {
        var parameters = [Float](repeating: 0, count: tensors.parameterCount)
        for case .transform(let layer, let index, let range) in stages {
            parameters.withUnsafeMutableBufferPointer { all in
                var own = UnsafeMutableBufferPointer(rebasing: all[range]).mutableSpan
                layer.initialise(&own, key: RandomStream.initialValues.key(seed: seed, UInt64(index)))
            }
        }
        return parameters
    }

    /// Allocates one thread's arrays for up to `capacity` samples a call.
    ///
    /// - Throws: `InputError` with `.limit` where they would take more than 64 GiB.
    package func makeWorkspace(capacity: Int) throws(InputError) -> any ModelWorkspace {
        try NativeWorkspace(self, capacity: capacity)
    }

    /// Writes the model as the bytes of an ONNX file that takes raw features: normalisation first, then the layers. Of
    /// a model that learns a target the last layer's weights and bias give predictions in the target's units.
    ///
    /// - Throws: `InputError` where the parameters or the schema's channels do not fit the model, or its predictions do
    ///   not fit Float32.
    package func export(_ parameters: [Float], schema: DataSchema, version: String) throws(InputError) -> [UInt8] {
        var parameters = parameters
        if case .value(let loss) = self.loss.scores { try scale(&parameters, to: loss.target) }
        return try ONNXModel.export(
            self, parameters: parameters, Normalisation(schema.channels),
            features: schema.channels.map { ONNXModel.Feature($0) }, version: version)
    }

    /// Makes the last layer give predictions in the target's units.
    private func scale(_ parameters: inout [Float], to target: TargetSchema) throws(InputError) {
        guard case .transform(_, _, let range)? = stages.last, parameters.count == tensors.parameterCount else {
            return
        }
        for index in range { parameters[index] = Float(Double(parameters[index]) / Double(target.scale)) }
        // The bias of the one unit lies after the weights.
        let bias = range.upperBound - 1
        parameters[bias] = Float(Double(parameters[bias]) + Double(target.offset))
        guard parameters[range].allSatisfy(\.isFinite) else {
            throw InputError(
                .input, "the model's predictions do not fit Float32", object: target.branch,
                expected: "a scale of the target's size", found: "\(target.scale)")
        }
    }
}
