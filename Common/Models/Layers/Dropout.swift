import Cluster

/// Zeroes a share of its values in training and scales the rest up; outside of training it does nothing.
package struct Dropout: InPlaceLayer, Equatable {
    package let inputShape: [Int]
    /// The share of values that are zeroed, from 0 to below 1.
    package let rate: Double
    /// The number that distinguishes this layer's random numbers from those of the others.
    package let stream: Int

    /// Creates a layer.
    ///
    /// - Parameters:
    ///   - rate: the share of values to zero, from 0 to below 1.
    ///   - stream: the number of transform layers before this one.
    package init(inputShape: [Int], rate: Double, stream: Int) {
        self.inputShape = inputShape
        self.rate = rate
        self.stream = stream
    }

    package var onnxOperator: String? { nil }

    /// Zeroes a share `rate` of the values and divides the others by `1 - rate`; without a key all stay as they are.
    package func forward(_ values: inout MutableSpan<Float>, random: UInt64?) {
        guard let random else { return }
        drop(&values, key: mix(random, UInt64(stream)))
    }

    /// The same key drops the same values of the gradient: dropped inputs pass none.
    package func backward(_ gradient: inout MutableSpan<Float>, values: inout MutableSpan<Float>, random: UInt64?) {
        guard let random else { return }
        drop(&gradient, key: mix(random, UInt64(stream)))
        let keep = Float(1 - rate)
        for index in 0..<values.count { values[index] *= keep }
    }

    private func drop(_ values: inout MutableSpan<Float>, key: UInt64) {
        let threshold = UInt64(rate * 4_294_967_296)
        let scale = Float(1 / (1 - rate))
        let count = values.count
        for index in stride(from: 0, to: count, by: 2) {
            let draw = mix(key ^ (UInt64(index) &* 0x9E37_79B9_7F4A_7C15))
            values[index] = draw & 0xFFFF_FFFF < threshold ? 0 : values[index] * scale
            if index + 1 < count { values[index + 1] = draw >> 32 < threshold ? 0 : values[index + 1] * scale }
        }
    }
}
