/// A layer with an output of its own, and perhaps with tensors to train.
///
/// Samples lie in lines of `NativeModel.lineLength` floats, of which the first are the sample's values and the rest is
/// of no meaning.
package protocol TransformLayer: Layer {
    /// The kind of layer in tensor names, for example `dense`.
    static var kind: String { get }
    /// The layer's tensors, in the order in which they lie in its parameters; their names are those within the layer.
    var tensors: [TensorSpec] { get }
    /// Floats of scratch memory that each direction may use.
    var scratchCount: Int { get }
    /// Floats of scratch memory that `forward` alone may use; at most `scratchCount`.
    var forwardScratchCount: Int { get }

    /// Sets the parameters with which training begins.
    ///
    /// - Parameters:
    ///   - parameters: all of the layer's tensors, zeroed.
    ///   - key: the key of the layer's random numbers.
    func initialise(_ parameters: inout MutableSpan<Float>, key: UInt64)

    /// Computes the output of each sample: a line for each line of the input.
    ///
    /// - Parameter segments: the lanes' samples, together all; nil outside of training.
    func forward(
        _ input: Span<Float>, to output: inout MutableSpan<Float>, parameters: Span<Float>,
        scratch: inout MutableSpan<Float>, samples: Int, segments: [BatchSegment]?)

    /// Computes the sum over the samples of one segment of the gradient of each parameter.
    ///
    /// - Parameters:
    ///   - gradient: the lines of the gradient at the output.
    ///   - input: the lines that `forward` was given.
    ///   - sums: receives the sums, as the parameters lie.
    func parameterGradient(
        _ gradient: Span<Float>, input: Span<Float>, to sums: inout MutableSpan<Float>, parameters: Span<Float>,
        samples: Int)

    /// Computes the lines of the gradient at the input; left out for the first layer with tensors.
    func inputGradient(
        _ gradient: Span<Float>, input: Span<Float>, to result: inout MutableSpan<Float>, parameters: Span<Float>,
        scratch: inout MutableSpan<Float>, samples: Int, segments: [BatchSegment])

    /// Appends the layer's tensors and operators to an ONNX graph.
    ///
    /// - Parameters:
    ///   - index: the number of transform layers before this one.
    ///   - input: the name of the value that comes in.
    ///   - output: the name that the layer's result must have.
    func export(to graph: inout ONNXGraph, parameters: ArraySlice<Float>, index: Int, input: String, output: String)
}

extension TransformLayer {
    package var forwardScratchCount: Int { scratchCount }

    /// The name of one of the layer's tensors in an ONNX graph.
    ///
    /// - Parameter index: the number of transform layers before this one.
    func exportedName(of tensor: TensorSpec, index: Int) -> String { "\(tensor.name)\(index)" }
}
