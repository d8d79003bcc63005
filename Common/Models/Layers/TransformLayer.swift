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
