import CKernels

/// exp(x) over the sum of exp over a sample's last axis.
package struct Softmax: InPlaceLayer, Equatable {
    package let inputShape: [Int]

    /// Creates the activation of samples of this shape.
    package init(inputShape: [Int]) { self.inputShape = inputShape }

    /// Replaces the values of each sample by their share of the exponentials, the largest subtracted first.
    package func forward(_ values: inout MutableSpan<Float>, samples: Int, segments: [BatchSegment]?) {
        guard let units = inputShape.last, units > 0 else { return }
        let line = NativeModel.lineLength(inputs)
        for sample in 0..<samples {
            for start in stride(from: sample * line, to: sample * line + inputs, by: units) {
                // The largest first: exp does not overflow then.
                var largest = values[start]
                for index in start..<start + units where values[index] > largest { largest = values[index] }
                for index in start..<start + units { values[index] -= largest }
            }
        }
        values.withUnsafeMutableBufferPointer { values in
            if let start = values.baseAddress { ck_exp(start, samples * line) }
        }
        for sample in 0..<samples {
            for start in stride(from: sample * line, to: sample * line + inputs, by: units) {
                var sum: Float = 0
                for index in start..<start + units { sum += values[index] }
                for index in start..<start + units { values[index] /= sum }
            }
        }
    }

    /// The derivative of output i is y_i (g_i - sum of g y). As the last activation the layer is not asked, since the
    /// loss gives the gradient at its input.
    package func backward(
        _ gradient: inout MutableSpan<Float>, input: Span<Float>, output: Span<Float>, samples: Int,
        segments: [BatchSegment]
    ) {
        guard let units = inputShape.last, units > 0 else { return }
        let line = NativeModel.lineLength(inputs)
        for sample in 0..<samples {
            for start in stride(from: sample * line, to: sample * line + inputs, by: units) {
                var sum: Float = 0
                for index in start..<start + units { sum += gradient[index] * output[index] }
                for index in start..<start + units { gradient[index] = output[index] * (gradient[index] - sum) }
            }
        }
    }

    /// One operator, over the last axis.
    package func export(to graph: inout ONNXGraph, input: String, output: String) {
        graph.node("Softmax", [input], output, attributes: [("axis", .whole(-1))])
    }
}
