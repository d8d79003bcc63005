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

/// A layer with an output of its own, and perhaps with tensors to train.
package protocol TransformLayer: Layer {
    /// The kind of layer in tensor names, for example `dense`.
    static var kind: String { get }
    /// The layer's tensors, in the order in which they lie in its parameters; their names are those within the layer.
    var tensors: [TensorSpec] { get }
    /// Floats of scratch memory that both directions share, a sample.
    var scratchPerSample: Int { get }

    /// Sets the parameters with which training begins.
    ///
    /// - Parameters:
    ///   - parameters: all of the layer's tensors, zeroed.
    ///   - key: the key of the layer's random numbers.
    func initialise(_ parameters: inout MutableSpan<Float>, key: UInt64)

    /// Computes the output `[samples, outputs]` of the input `[samples, inputs]`.
    func forward(
        _ input: Span<Float>, to output: inout MutableSpan<Float>, parameters: Span<Float>,
        scratch: inout MutableSpan<Float>, samples: Int)

    /// Computes, after `forward`, the sum over the samples of the gradient of each parameter.
    ///
    /// - Parameters:
    ///   - gradient: the gradient at the output, `[samples, outputs]`.
    ///   - input: what `forward` was given.
    ///   - sums: receives the sums, as the parameters lie.
    func parameterGradient(
        _ gradient: Span<Float>, input: Span<Float>, to sums: inout MutableSpan<Float>, parameters: Span<Float>,
        scratch: inout MutableSpan<Float>, samples: Int)

    /// Computes, after `parameterGradient`, the gradient at the input, `[samples, inputs]`; left out for the first
    /// layer.
    func inputGradient(
        _ gradient: Span<Float>, input: Span<Float>, to result: inout MutableSpan<Float>, parameters: Span<Float>,
        scratch: inout MutableSpan<Float>, samples: Int)

    /// Appends the layer's tensors and operators to an ONNX graph.
    ///
    /// - Parameters:
    ///   - index: the number of transform layers before this one.
    ///   - input: the name of the value that comes in.
    ///   - output: the name that the layer's result must have.
    func export(to graph: inout ONNXGraph, parameters: ArraySlice<Float>, index: Int, input: String, output: String)
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
