import Glibc

/// The hyperbolic tangent.
package struct Tanh: InPlaceLayer, Equatable {
    package let inputShape: [Int]

    /// Creates the activation of samples of this shape.
    package init(inputShape: [Int]) { self.inputShape = inputShape }

    package var onnxOperator: String? { "Tanh" }

    /// Replaces each value x with tanh(x).
    package func forward(_ values: inout MutableSpan<Float>, random: UInt64?) {
        for index in 0..<values.count { values[index] = tanhf(values[index]) }
    }

    /// The derivative is 1 - y², from the output y.
    package func backward(_ gradient: inout MutableSpan<Float>, values: inout MutableSpan<Float>, random: UInt64?) {
        precondition(values.count >= gradient.count)
        for index in 0..<gradient.count {
            let y = values[index]
            gradient[index] *= 1 - y * y
        }
    }
}
