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
        case inPlace(any InPlaceLayer)
    }

    /// The most parameters that a model may have: 2 GiB of them.
    package static let maxParameters = 1 << 29

    /// The number of features of one sample.
    package let inputs: Int
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
    /// - Throws: `InputError` with `.limit` for too many parameters, with `.input` where no layer is dense.
    package init(inputs: Int, layers: [JobDescription.Layer]) throws(InputError) {
        var builder = Builder(width: inputs)
        for layer in layers {
            switch layer {
            case .dropout(let rate): builder.dropout = 1 - (1 - builder.dropout) * (1 - rate)
            case .dense(let units, let activation): try builder.dense(units: units, activation)
            }
        }
        guard builder.index > 0 else {
            throw InputError(.input, "the model has no dense layer", expected: "at least one")
        }
        self.inputs = inputs
        loss = Loss(outputs: builder.width)
        tensors = builder.tensors
        stages = builder.stages
    }

    /// The model while its layers are added.
    private struct Builder {
        var width: Int
        var index = 0
        var parameters = 0
        var dropout = 0.0
        var stages: [Stage] = []
        var tensors: [TensorSpec] = []

        init(width: Int) { self.width = width }

        mutating func dense(units: Int, _ activation: JobDescription.Activation) throws(InputError) {
            let (weights, isTooLarge) = units.multipliedReportingOverflow(by: width)
            guard units > 0, width > 0, !isTooLarge,
                weights <= NativeModel.maxParameters - parameters - min(units, NativeModel.maxParameters - parameters)
            else {
                throw InputError(
                    .limit, "dense layer \(index + 1) is too large",
                    expected: "at most \(NativeModel.maxParameters) parameters in the model",
                    found: "\(width) inputs and \(units) units after \(parameters) parameters")
            }
            if dropout > 0 {
                stages.append(.inPlace(Dropout(inputShape: [width], rate: dropout, stream: index)))
                dropout = 0
            }
            add(Dense(inputs: width, units: units))
            if let layer = activation.layer([units]) { stages.append(.inPlace(layer)) }
        }

        private mutating func add(_ layer: some TransformLayer) {
            let count = layer.tensors.parameterCount
            stages.append(.transform(layer, index: index, parameters: parameters..<parameters + count))
            tensors += layer.tensors.map { tensor in
                TensorSpec("\(type(of: layer).kind)\(index + 1).\(tensor.name)", shape: tensor.shape)
            }
            index += 1
            parameters += count
            width = layer.outputs
        }
    }

    /// The parameters with which training begins: weights after Glorot and Bengio, drawn for each dense layer from a
    /// random stream of its own; biases 0.
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

    /// Writes the model as the bytes of an ONNX file that takes raw features: normalisation first, then the layers.
    ///
    /// - Throws: `InputError` where the parameters or the schema's channels do not fit the model.
    package func export(_ parameters: [Float], schema: DataSchema, version: String) throws(InputError) -> [UInt8] {
        try ONNXModel.export(self, parameters: parameters, Normalisation(schema.channels), version: version)
    }
}
