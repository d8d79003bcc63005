/// max(x, 0).
package struct ReLU: InPlaceLayer, Equatable {
    package let inputShape: [Int]

    /// Creates the activation of samples of this shape.
    package init(inputShape: [Int]) { self.inputShape = inputShape }

    package var onnxOperator: String? { "Relu" }

    /// Replaces each value x with max(x, 0).
    package func forward(_ values: inout MutableSpan<Float>, random: UInt64?) {
        for index in 0..<values.count { values[index] = max(values[index], 0) }
    }

    /// The derivative is 0 where the output is 0, and 1 elsewhere.
    package func backward(_ gradient: inout MutableSpan<Float>, values: inout MutableSpan<Float>, random: UInt64?) {
        precondition(values.count >= gradient.count)
        for index in 0..<gradient.count where values[index] <= 0 { gradient[index] = 0 }
    }
}
