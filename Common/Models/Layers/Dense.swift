import COpenBLAS
import Cluster

/// A fully connected layer: each output is a weighted sum of all inputs plus a bias.
package struct Dense: TransformLayer, Equatable {
    package static let kind = "dense"

    package let inputShape: [Int]
    package let outputShape: [Int]
    package let tensors: [TensorSpec]
    package let scratchPerSample = 0
    private let rows: Int
    private let columns: Int

    /// Creates a layer of `units` outputs.
    package init(inputs: Int, units: Int) {
        inputShape = [inputs]
        outputShape = [units]
        tensors = [TensorSpec("weights", shape: [units, inputs]), TensorSpec("biases", shape: [units])]
        rows = units
        columns = inputs
    }

    /// Values of the weights, which lie before the biases.
    private var weightCount: Int { rows * columns }

    /// Sets uniform weights after Glorot and Bengio, from counter-based random numbers; the biases stay 0.
    package func initialise(_ parameters: inout MutableSpan<Float>, key: UInt64) {
        let limit = (6 / Float(columns + rows)).squareRoot()
        for index in 0..<weightCount {
            let draw = Float(mix(key ^ mix(UInt64(index))) >> 40) / 16_777_216
            parameters[index] = (2 * draw - 1) * limit
        }
    }

    /// Computes `input · weightsᵀ + biases`, `[samples, units]`; traps where an array is too small.
    package func forward(
        _ input: Span<Float>, to output: inout MutableSpan<Float>, parameters: Span<Float>,
        scratch: inout MutableSpan<Float>, samples: Int
    ) {
        precondition(input.count >= samples * columns && output.count >= samples * rows)
        precondition(parameters.count == weightCount + rows)
        parameters.withUnsafeBufferPointer { parameters in
            guard let weights = parameters.baseAddress else { return }
            let biases = weights + weightCount
            input.withUnsafeBufferPointer { input in
                output.withUnsafeMutableBufferPointer { output in
                    guard let result = output.baseAddress else { return }
                    for sample in 0..<samples { (result + sample * rows).update(from: biases, count: rows) }
                    cblas_sgemm(
                        CblasRowMajor, CblasNoTrans, CblasTrans, blasint(samples), blasint(rows), blasint(columns), 1,
                        input.baseAddress, blasint(columns), weights, blasint(columns), 1, result, blasint(rows))
                }
            }
        }
    }

    /// Overwrites `sums` with the gradient sums of the weights, `gradientᵀ · input`, and of the biases; traps where an
    /// array is too small.
    package func parameterGradient(
        _ gradient: Span<Float>, input: Span<Float>, to sums: inout MutableSpan<Float>, parameters: Span<Float>,
        scratch: inout MutableSpan<Float>, samples: Int
    ) {
        precondition(input.count >= samples * columns && gradient.count >= samples * rows)
        precondition(sums.count == weightCount + rows)
        gradient.withUnsafeBufferPointer { gradient in
            input.withUnsafeBufferPointer { input in
                sums.withUnsafeMutableBufferPointer { sums in
                    guard let weights = sums.baseAddress else { return }
                    cblas_sgemm(
                        CblasRowMajor, CblasTrans, CblasNoTrans, blasint(rows), blasint(columns), blasint(samples), 1,
                        gradient.baseAddress, blasint(rows), input.baseAddress, blasint(columns), 0, weights,
                        blasint(columns))
                    let biases = weights + weightCount
                    biases.update(repeating: 0, count: rows)
                    for sample in 0..<samples {
                        for unit in 0..<rows { biases[unit] += gradient[sample * rows + unit] }
                    }
                }
            }
        }
    }

    /// Overwrites `result` with `gradient · weights`, `[samples, inputs]`; traps where an array is too small.
    package func inputGradient(
        _ gradient: Span<Float>, input: Span<Float>, to result: inout MutableSpan<Float>, parameters: Span<Float>,
        scratch: inout MutableSpan<Float>, samples: Int
    ) {
        precondition(gradient.count >= samples * rows && result.count >= samples * columns)
        precondition(parameters.count == weightCount + rows)
        gradient.withUnsafeBufferPointer { gradient in
            parameters.withUnsafeBufferPointer { parameters in
                result.withUnsafeMutableBufferPointer { result in
                    cblas_sgemm(
                        CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(samples), blasint(columns), blasint(rows), 1,
                        gradient.baseAddress, blasint(rows), parameters.baseAddress, blasint(columns), 0,
                        result.baseAddress, blasint(columns))
                }
            }
        }
    }

    /// Appends the weights `[units, inputs]`, the biases `[units]` and one `Gemm` operator that uses them.
    package func export(
        to graph: inout ONNXGraph, parameters: ArraySlice<Float>, index: Int, input: String, output: String
    ) {
        graph.tensor("weights\(index)", shape: [rows, columns], parameters.prefix(weightCount))
        graph.tensor("biases\(index)", shape: [rows], parameters.suffix(rows))
        graph.node("Gemm", [input, "weights\(index)", "biases\(index)"], output, attributes: [("transB", 1)])
    }
}
