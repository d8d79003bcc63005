import CKernels

/// max(x, 0).
package struct ReLU: InPlaceLayer, Equatable {
    package let inputShape: [Int]

    /// Creates the activation of samples of this shape.
    package init(inputShape: [Int]) { self.inputShape = inputShape }

    /// Replaces negative values by 0.
    package func forward(_ values: inout MutableSpan<Float>, samples: Int, segments: [BatchSegment]?) {
        values.withUnsafeMutableBufferPointer { values in
            if let start = values.baseAddress { ck_relu(start, values.count) }
        }
    }

    /// Passes the gradient where the output is positive.
    package func backward(
        _ gradient: inout MutableSpan<Float>, input: Span<Float>, output: Span<Float>, samples: Int,
        segments: [BatchSegment]
    ) {
        precondition(output.count >= gradient.count)
        gradient.withUnsafeMutableBufferPointer { gradient in
            output.withUnsafeBufferPointer { output in
                guard let start = gradient.baseAddress, let output = output.baseAddress else { return }
                ck_relu_gradient(start, output, gradient.count)
            }
        }
    }

    /// One operator.
    package func export(to graph: inout ONNXGraph, input: String, output: String) {
        graph.node("Relu", [input], output)
    }
}
