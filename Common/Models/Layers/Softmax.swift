import Glibc

/// exp(x) over the sum of exp over a sample's last axis.
package struct Softmax: InPlaceLayer, Equatable {
    package let inputShape: [Int]

    /// Creates the activation of samples of this shape.
    package init(inputShape: [Int]) { self.inputShape = inputShape }

    package var onnxOperator: String? { "Softmax" }

    /// Replaces the values of each run of the last axis with their softmax: positive numbers whose sum is 1.
    package func forward(_ values: inout MutableSpan<Float>, random: UInt64?) {
        guard let units = inputShape.last, units > 0 else { return }
        for start in stride(from: 0, to: values.count - units + 1, by: units) {
            // The largest first: exp does not overflow then.
            var largest = values[start]
            for index in start..<start + units where values[index] > largest { largest = values[index] }
            var sum: Float = 0
            for index in start..<start + units {
                values[index] = expf(values[index] - largest)
                sum += values[index]
            }
            for index in start..<start + units { values[index] /= sum }
        }
    }

    /// Passes the gradient on as it is. As the last activation the layer is not asked, since the loss gives the
    /// gradient at its input; between other layers this straight-through estimate is what models have been trained
    /// with.
    package func backward(_ gradient: inout MutableSpan<Float>, values: inout MutableSpan<Float>, random: UInt64?) {}
}
