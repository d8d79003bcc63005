import CKernels

/// 1 / (1 + exp(-x)), the logistic function.
package struct Sigmoid: InPlaceLayer, Equatable {
    package let inputShape: [Int]

    /// Creates the activation of samples of this shape.
    package init(inputShape: [Int]) { self.inputShape = inputShape }

    /// Replaces each value by its logistic function.
    package func forward(_ values: inout MutableSpan<Float>, samples: Int, segments: [BatchSegment]?) {
        values.withUnsafeMutableBufferPointer { values in
            if let start = values.baseAddress { ck_logistic(start, values.count) }
        }
    }

    /// The derivative is y (1 - y), from the output y.
    package func backward(
        _ gradient: inout MutableSpan<Float>, input: Span<Float>, output: Span<Float>, samples: Int,
        segments: [BatchSegment]
    ) {
        precondition(output.count >= gradient.count)
        for index in 0..<gradient.count {
            let y = output[index]
            gradient[index] *= y * (1 - y)
        }
    }

    /// One operator.
    package func export(to graph: inout ONNXGraph, input: String, output: String) {
        graph.node("Sigmoid", [input], output)
    }
}
