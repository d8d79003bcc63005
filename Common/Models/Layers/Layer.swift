import Cluster

/// One layer of a `NativeModel`: its shapes, its tensors, and both directions of its computation in one file.
///
/// A layer is either a `TransformLayer`, which writes its output beside its input, or an `InPlaceLayer`, which
/// overwrites its input.
package protocol Layer: Sendable {
    /// The shape of one sample's input, without the axis of samples.
    var inputShape: [Int] { get }
    /// The shape of one sample's output, without the axis of samples.
    var outputShape: [Int] { get }
}

extension Layer {
    /// Values of one sample's input.
    var inputs: Int { inputShape.reduce(1, *) }
    /// Values of one sample's output.
    var outputs: Int { outputShape.reduce(1, *) }
}

/// A layer that overwrites its input with its output and has no tensors: activations, dropout.
package protocol InPlaceLayer: Layer {
    /// The ONNX operator that computes the layer; nil where the layer does nothing outside of training.
    var onnxOperator: String? { get }

    /// Turns the input into the output.
    ///
    /// - Parameters:
    ///   - values: `[samples, inputs]`.
    ///   - random: the key of this step's and lane's random numbers; nil outside of training.
    func forward(_ values: inout MutableSpan<Float>, random: UInt64?)

    /// Turns the gradient at the output into the gradient at the input.
    ///
    /// - Parameters:
    ///   - gradient: `[samples, inputs]`.
    ///   - values: the output; where the layer scaled it, it is scaled back, so that the layer before finds its own.
    ///   - random: the key that `forward` was given.
    func backward(_ gradient: inout MutableSpan<Float>, values: inout MutableSpan<Float>, random: UInt64?)
}

extension InPlaceLayer {
    package var outputShape: [Int] { inputShape }
}

extension JobDescription.Activation {
    /// The layer that computes the activation; nil for the identity.
    ///
    /// - Parameter shape: of one sample.
    func layer(_ shape: [Int]) -> (any InPlaceLayer)? {
        switch self {
        case .linear: nil
        case .relu: ReLU(inputShape: shape)
        case .tanh: Tanh(inputShape: shape)
        case .sigmoid: Sigmoid(inputShape: shape)
        case .softmax: Softmax(inputShape: shape)
        }
    }
}
