import Glibc

/// The logistic function, 1 / (1 + exp(-x)).
package struct Sigmoid: InPlaceLayer, Equatable {
    package let inputShape: [Int]

    /// Creates the activation of samples of this shape.
    package init(inputShape: [Int]) { self.inputShape = inputShape }

    package var onnxOperator: String? { "Sigmoid" }

    /// Replaces each value x with 1 / (1 + exp(-x)).
    package func forward(_ values: inout MutableSpan<Float>, random: UInt64?) {
        for index in 0..<values.count { values[index] = 1 / (1 + expf(-values[index])) }
    }

    /// The derivative is y (1 - y), from the output y.
    package func backward(_ gradient: inout MutableSpan<Float>, values: inout MutableSpan<Float>, random: UInt64?) {
        precondition(values.count >= gradient.count)
        for index in 0..<gradient.count {
            let y = values[index]
            gradient[index] *= y * (1 - y)
        }
    }
}
