import Cluster

/// Normalises each feature over the samples of a lane in a step (ghost batches, after Hoffer, Hubara and Soudry), then
/// scales and shifts it (Ioffe and Szegedy). Outside of training it normalises by running statistics.
///
/// The running mean and variance are tensors whose gradient is their distance from those of the lane's samples, times
/// the number of samples; so the lanes' statistics are combined by the exact sum of gradients.
package struct BatchNorm: TransformLayer, Equatable {
    package static let kind = "batch_norm"

    package let inputShape: [Int]
    package let tensors: [TensorSpec]
    /// Added to the variance, above 0.
    package let epsilon: Double

    package var outputShape: [Int] { inputShape }
    /// The mean and one over the deviation of each feature.
    package var scratchCount: Int { 4 * inputs }

    /// Creates a layer of `width` features.
    ///
    /// - Parameter momentum: the share of the running statistics that each step replaces, above 0 and up to 1.
    package init(width: Int, momentum: Double, epsilon: Double) {
        inputShape = [width]
        tensors = [
            TensorSpec("scale", shape: [width]), TensorSpec("shift", shape: [width]),
            TensorSpec("mean", shape: [width], momentum: momentum),
            TensorSpec("variance", shape: [width], momentum: momentum),
        ]
        self.epsilon = epsilon
    }

    private var line: Int { NativeModel.lineLength(inputs) }

    /// Sets scales and running variances to 1; shifts and running means stay 0.
    package func initialise(_ parameters: inout MutableSpan<Float>, key: UInt64) {
        for index in 0..<inputs {
            parameters[index] = 1
            parameters[3 * inputs + index] = 1
        }
    }

    /// The means of the features of some lines, `[0, width)` of the result, and one over their deviations, after them.
    private func statistics(_ input: Span<Float>, _ rows: Range<Int>, to result: inout MutableSpan<Float>) {
        let width = inputs
        let share = 1 / Float(max(1, rows.count))
        for index in 0..<2 * width { result[index] = 0 }
        for start in rows.lazy.map({ $0 * line }) {
            for index in 0..<width { result[index] += input[start + index] }
        }
        for index in 0..<width { result[index] *= share }
        for start in rows.lazy.map({ $0 * line }) {
            for index in 0..<width {
                let distance = input[start + index] - result[index]
                result[width + index] += distance * distance
            }
        }
        for index in 0..<width {
            result[width + index] = 1 / (result[width + index] * share + Float(epsilon)).squareRoot()
        }
    }

    /// Computes `(x - mean) / sqrt(variance + epsilon) * scale + shift`, with the statistics of each segment in
    /// training and the running ones outside of it.
    package func forward(
        _ input: Span<Float>, to output: inout MutableSpan<Float>, parameters: Span<Float>,
        scratch: inout MutableSpan<Float>, samples: Int, segments: [BatchSegment]?
    ) {
        let width = inputs
        func normalise(_ rows: Range<Int>, _ scratch: borrowing MutableSpan<Float>, to output: inout MutableSpan<Float>)
        {
            for start in rows.lazy.map({ $0 * line }) {
                for index in 0..<width {
                    let normal = (input[start + index] - scratch[index]) * scratch[width + index]
                    output[start + index] = normal * parameters[index] + parameters[width + index]
                }
            }
        }
        if let segments {
            for segment in segments {
                statistics(input, segment.rows, to: &scratch)
                normalise(segment.rows, scratch, to: &output)
            }
        } else {
            for index in 0..<width {
                scratch[index] = parameters[2 * width + index]
                scratch[width + index] = 1 / (parameters[3 * width + index] + Float(epsilon)).squareRoot()
            }
            normalise(0..<samples, scratch, to: &output)
        }
    }

    /// The sums for scale and shift, and for the running statistics their distance from the segment's, times its
    /// samples; the variance is the unbiased one, and that of a single sample changes nothing.
    package func parameterGradient(
        _ gradient: Span<Float>, input: Span<Float>, to sums: inout MutableSpan<Float>, parameters: Span<Float>,
        samples: Int
    ) {
        let width = inputs
        // The later half of the sums holds the statistics until they are replaced by what is wanted of them.
        for index in 0..<2 * width { sums[index] = 0 }
        var own = sums._mutatingExtracting(2 * width..<4 * width)
        statistics(input, 0..<samples, to: &own)
        for start in stride(from: 0, to: samples * line, by: line) {
            for index in 0..<width {
                let normal = (input[start + index] - sums[2 * width + index]) * sums[3 * width + index]
                sums[index] += gradient[start + index] * normal
                sums[width + index] += gradient[start + index]
            }
        }
        let count = Float(samples)
        for index in 0..<width {
            let inverse = sums[3 * width + index]
            let biased = max(0, 1 / (inverse * inverse) - Float(epsilon))
            let running = parameters[3 * width + index]
            let variance = samples > 1 ? biased * (count / (count - 1)) : running
            sums[2 * width + index] = (parameters[2 * width + index] - sums[2 * width + index]) * count
            sums[3 * width + index] = (running - variance) * count
        }
    }

    /// The error less its mean and less its share along the normalised values, over the deviation, segment by segment.
    package func inputGradient(
        _ gradient: Span<Float>, input: Span<Float>, to result: inout MutableSpan<Float>, parameters: Span<Float>,
        scratch: inout MutableSpan<Float>, samples: Int, segments: [BatchSegment]
    ) {
        let width = inputs
        for segment in segments {
            statistics(input, segment.rows, to: &scratch)
            for index in 2 * width..<4 * width { scratch[index] = 0 }
            for start in segment.rows.lazy.map({ $0 * line }) {
                for index in 0..<width {
                    let normal = (input[start + index] - scratch[index]) * scratch[width + index]
                    scratch[2 * width + index] += gradient[start + index]
                    scratch[3 * width + index] += gradient[start + index] * normal
                }
            }
            let share = 1 / Float(max(1, segment.rows.count))
            for start in segment.rows.lazy.map({ $0 * line }) {
                for index in 0..<width {
                    let normal = (input[start + index] - scratch[index]) * scratch[width + index]
                    let along = scratch[2 * width + index] + normal * scratch[3 * width + index]
                    let error = gradient[start + index] - share * along
                    result[start + index] = parameters[index] * scratch[width + index] * error
                }
            }
        }
    }

    /// One operator, with the running statistics.
    package func export(
        to graph: inout ONNXGraph, parameters: ArraySlice<Float>, index: Int, input: String, output: String
    ) {
        var names = [input]
        for (tensor, range) in zip(tensors, tensors.ranges) {
            let name = exportedName(of: tensor, index: index)
            let start = parameters.startIndex
            graph.tensor(name, shape: tensor.shape, parameters[start + range.lowerBound..<start + range.upperBound])
            names.append(name)
        }
        graph.node("BatchNormalization", names, output, attributes: [("epsilon", .real(Float(epsilon)))])
    }
}
