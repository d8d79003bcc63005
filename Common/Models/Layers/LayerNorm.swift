import Cluster

/// Normalises each sample over its features, then scales and shifts each feature (Ba, Kiros and Hinton): the mean and
/// the variance are summed in Float64, feature after feature.
package struct LayerNorm: TransformLayer, Equatable {
    package static let kind = "layer_norm"

    package let inputShape: [Int]
    package let tensors: [TensorSpec]
    /// Added to the variance, above 0.
    package let epsilon: Double

    package var outputShape: [Int] { inputShape }
    package var scratchCount: Int { 0 }

    /// Creates a layer of `width` features.
    package init(width: Int, epsilon: Double) {
        inputShape = [width]
        tensors = [TensorSpec("scale", shape: [width]), TensorSpec("shift", shape: [width])]
        self.epsilon = epsilon
    }

    private var line: Int { NativeModel.lineLength(inputs) }

    /// Sets the scales to 1; the shifts stay 0.
    package func initialise(_ parameters: inout MutableSpan<Float>, key: UInt64) {
        for index in 0..<inputs { parameters[index] = 1 }
    }

    /// The mean of a sample's values, and one over their deviation.
    private func statistics(_ input: Span<Float>, start: Int) -> (mean: Double, inverse: Double) {
        let width = inputs
        var sum = 0.0
        for index in start..<start + width { sum += Double(input[index]) }
        let mean = sum / Double(width)
        var squares = 0.0
        for index in start..<start + width {
            let distance = Double(input[index]) - mean
            squares += distance * distance
        }
        return (mean, 1 / (squares / Double(width) + epsilon).squareRoot())
    }

    /// Computes `(x - mean) / sqrt(variance + epsilon) * scale + shift` of each sample.
    package func forward(
        _ input: Span<Float>, to output: inout MutableSpan<Float>, parameters: Span<Float>,
        scratch: inout MutableSpan<Float>, samples: Int, segments: [BatchSegment]?
    ) {
        let width = inputs
        for start in stride(from: 0, to: samples * line, by: line) {
            let (mean, inverse) = statistics(input, start: start)
            for index in 0..<width {
                let normal = Float((Double(input[start + index]) - mean) * inverse)
                output[start + index] = normal * parameters[index] + parameters[width + index]
            }
        }
    }

    /// Sums each feature's error, and its error times its normalised value, sample after sample.
    package func parameterGradient(
        _ gradient: Span<Float>, input: Span<Float>, to sums: inout MutableSpan<Float>, parameters: Span<Float>,
        samples: Int
    ) {
        let width = inputs
        for index in 0..<2 * width { sums[index] = 0 }
        for start in stride(from: 0, to: samples * line, by: line) {
            let (mean, inverse) = statistics(input, start: start)
            for index in 0..<width {
                let error = gradient[start + index]
                sums[index] += error * Float((Double(input[start + index]) - mean) * inverse)
                sums[width + index] += error
            }
        }
    }

    /// The error less its mean and less its share along the normalised sample, over the deviation.
    package func inputGradient(
        _ gradient: Span<Float>, input: Span<Float>, to result: inout MutableSpan<Float>, parameters: Span<Float>,
        scratch: inout MutableSpan<Float>, samples: Int, segments: [BatchSegment]
    ) {
        let width = inputs
        for start in stride(from: 0, to: samples * line, by: line) {
            let (mean, inverse) = statistics(input, start: start)
            var (all, along) = (0.0, 0.0)
            for index in 0..<width {
                let error = Double(gradient[start + index] * parameters[index])
                all += error
                along += error * ((Double(input[start + index]) - mean) * inverse)
            }
            (all, along) = (all / Double(width), along / Double(width))
            for index in 0..<width {
                let normal = (Double(input[start + index]) - mean) * inverse
                let error = Double(gradient[start + index] * parameters[index])
                result[start + index] = Float(inverse * (error - all - normal * along))
            }
        }
    }

    /// Mean, distance, variance and the rest as operators of their own: the standard's own operator is newer.
    package func export(
        to graph: inout ONNXGraph, parameters: ArraySlice<Float>, index: Int, input: String, output: String
    ) {
        let width = inputs
        func name(_ part: String) -> String { "\(Self.kind)\(index).\(part)" }
        graph.tensor("scale\(index)", shape: [width], parameters.prefix(width))
        graph.tensor("shift\(index)", shape: [width], parameters.suffix(width))
        graph.tensor(name("epsilon"), shape: [1], [Float(epsilon)])
        let axes: [(name: String, value: ONNXGraph.Attribute)] = [("axes", .wholes([-1])), ("keepdims", .whole(1))]
        graph.node("ReduceMean", [input], name("mean"), attributes: axes)
        graph.node("Sub", [input, name("mean")], name("distance"))
        graph.node("Mul", [name("distance"), name("distance")], name("square"))
        graph.node("ReduceMean", [name("square")], name("variance"), attributes: axes)
        graph.node("Add", [name("variance"), name("epsilon")], name("sum"))
        graph.node("Sqrt", [name("sum")], name("deviation"))
        graph.node("Div", [name("distance"), name("deviation")], name("normal"))
        graph.node("Mul", [name("normal"), "scale\(index)"], name("scaled"))
        graph.node("Add", [name("scaled"), "shift\(index)"], output)
    }
}
