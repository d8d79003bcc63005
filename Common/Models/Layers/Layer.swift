import Cluster

/// One layer of a `NativeModel`: its shapes, its tensors, and both directions of its computation in one file.
///
/// A layer is either a `TransformLayer`, which writes its output beside its input, or an `InPlaceLayer`, which
/// overwrites its input. Layers with random numbers take them from counters, so that a value of a sample depends on its
/// segment's key and its own number alone.
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
    /// Whether the layer does something outside of training.
    var isExported: Bool { get }
    /// Whether its input must be there when it, or the layer before, goes back: then it overwrites a copy.
    var keepsInput: Bool { get }

    /// Turns the input into the output.
    ///
    /// - Parameters:
    ///   - values: a line of `NativeModel.lineLength(inputs)` floats for each sample.
    ///   - segments: the lanes' samples; nil outside of training.
    func forward(_ values: inout MutableSpan<Float>, samples: Int, segments: [BatchSegment]?)

    /// Turns the gradient at the output into the gradient at the input, lines like the values.
    ///
    /// - Parameters:
    ///   - input: what `forward` was given where the layer keeps its input; else the output.
    ///   - output: what `forward` made.
    func backward(
        _ gradient: inout MutableSpan<Float>, input: Span<Float>, output: Span<Float>, samples: Int,
        segments: [BatchSegment])

    /// Appends the layer's operators to an ONNX graph.
    ///
    /// - Parameters:
    ///   - input: the name of the value that comes in.
    ///   - output: the name that the layer's result must have.
    func export(to graph: inout ONNXGraph, input: String, output: String)
}

extension InPlaceLayer {
    package var outputShape: [Int] { inputShape }
    package var isExported: Bool { true }
    package var keepsInput: Bool { false }
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
        case .elu: Elementwise(.elu, inputShape: shape)
        case .selu: Elementwise(.selu, inputShape: shape)
        case .leakyReLU: Elementwise(.leakyReLU, inputShape: shape)
        case .silu: Elementwise(.silu, inputShape: shape)
        case .gelu: Elementwise(.gelu, inputShape: shape)
        }
    }
}
