import CKernels
package import Cluster

/// A fully connected layer: each output is a weighted sum of all inputs plus a bias.
package struct Dense: TransformLayer, Equatable {
    package static let kind = "dense"

    package let inputShape: [Int]
    package let outputShape: [Int]
    package let tensors: [TensorSpec]
    package let scratchCount: Int
    package let forwardScratchCount: Int
    private let rows: Int
    private let columns: Int
    private let initializer: WeightInitializer

    /// Creates a layer of `units` outputs.
    package init(inputs: Int, units: Int, initializer: JobDescription.Initializer = .glorotUniform) {
        self.initializer = WeightInitializer(initializer)
        inputShape = [inputs]
        outputShape = [units]
        tensors = [TensorSpec("weights", shape: [units, inputs]), TensorSpec("biases", shape: [units])]
        rows = units
        columns = inputs
        forwardScratchCount = ck_panel_floats(inputs, units)
        scratchCount = max(forwardScratchCount, ck_panel_floats(units, inputs))
    }

    /// Floats from one sample's line to the next.
    private var inputLine: Int { NativeModel.lineLength(columns) }
    private var outputLine: Int { NativeModel.lineLength(rows) }

    /// Values of the weights, which lie before the biases.
    private var weightCount: Int { rows * columns }

    /// Draws the weights by the layer's initializer.
    package func initialise(_ parameters: inout MutableSpan<Float>, key: UInt64) {
        initializer.fill(&parameters, inputs: columns, units: rows, key: key)
    }

    /// Computes `input · weightsᵀ + biases`, `[samples, units]`; traps where an array is too small.
    package func forward(
        _ input: Span<Float>, to output: inout MutableSpan<Float>, parameters: Span<Float>,
        scratch: inout MutableSpan<Float>, samples: Int, segments: [BatchSegment]?
    ) {
        precondition(input.count >= samples * inputLine && output.count >= samples * outputLine)
        precondition(parameters.count == weightCount + rows && scratch.count >= forwardScratchCount)
        parameters.withUnsafeBufferPointer { parameters in
            input.withUnsafeBufferPointer { input in
                output.withUnsafeMutableBufferPointer { output in
                    scratch.withUnsafeMutableBufferPointer { scratch in
                        guard let weights = parameters.baseAddress, let input = input.baseAddress,
                            let output = output.baseAddress, let panels = scratch.baseAddress
                        else { return }
                        ck_pack_transposed(panels, weights, columns, columns, rows)
                        ck_matrix_product(
                            output, outputLine, ck_left(start: input, row: inputLine, step: 1),
                            ck_right(start: panels, panel: 16 * columns, stride: 16), weights + weightCount, samples,
                            rows, columns)
                    }
                }
            }
        }
    }

    /// The outer products of the error and the input, summed over the samples; for the biases the error's sum.
    package func parameterGradient(
        _ gradient: Span<Float>, input: Span<Float>, to sums: inout MutableSpan<Float>, parameters: Span<Float>,
        samples: Int
    ) {
        precondition(input.count >= samples * inputLine && gradient.count >= samples * outputLine)
        precondition(sums.count == weightCount + rows)
        gradient.withUnsafeBufferPointer { gradient in
            input.withUnsafeBufferPointer { input in
                sums.withUnsafeMutableBufferPointer { sums in
                    guard let weights = sums.baseAddress, let gradient = gradient.baseAddress,
                        let input = input.baseAddress
                    else { return }
                    // The sum over samples of gradient[u] input[i]: lines are long enough for whole vectors.
                    ck_matrix_product(
                        weights, columns, ck_left(start: gradient, row: 1, step: outputLine),
                        ck_right(start: input, panel: 16, stride: inputLine), nil, rows, columns, samples)
                    ck_column_sums(weights + weightCount, gradient, outputLine, samples, rows)
                }
            }
        }
    }

    /// The weighted sum of the errors at the outputs.
    package func inputGradient(
        _ gradient: Span<Float>, input: Span<Float>, to result: inout MutableSpan<Float>, parameters: Span<Float>,
        scratch: inout MutableSpan<Float>, samples: Int, segments: [BatchSegment]
    ) {
        precondition(gradient.count >= samples * outputLine && result.count >= samples * inputLine)
        precondition(parameters.count == weightCount + rows && scratch.count >= scratchCount)
        gradient.withUnsafeBufferPointer { gradient in
            parameters.withUnsafeBufferPointer { parameters in
                result.withUnsafeMutableBufferPointer { result in
                    scratch.withUnsafeMutableBufferPointer { scratch in
                        guard let weights = parameters.baseAddress, let gradient = gradient.baseAddress,
                            let result = result.baseAddress, let panels = scratch.baseAddress
                        else { return }
                        ck_pack(panels, weights, columns, rows, columns)
                        ck_matrix_product(
                            result, inputLine, ck_left(start: gradient, row: outputLine, step: 1),
                            ck_right(start: panels, panel: 16 * rows, stride: 16), nil, samples, columns, rows)
                    }
                }
            }
        }
    }

    /// One `Gemm`, with the weights transposed.
    package func export(
        to graph: inout ONNXGraph, parameters: ArraySlice<Float>, index: Int, input: String, output: String
    ) {
        graph.tensor("weights\(index)", shape: [rows, columns], parameters.prefix(weightCount))
        graph.tensor("biases\(index)", shape: [rows], parameters.suffix(rows))
        graph.node("Gemm", [input, "weights\(index)", "biases\(index)"], output, attributes: [("transB", .whole(1))])
    }
}
