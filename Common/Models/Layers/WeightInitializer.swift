import CKernels
package import Cluster

/// Draws the values with which weights begin, from counter-based random numbers: each depends on the key and its own
/// number alone.
package struct WeightInitializer: Sendable, Equatable {
    private let initializer: JobDescription.Initializer

    package init(_ initializer: JobDescription.Initializer) { self.initializer = initializer }

    /// A number above 0 and below 1 of 24 bits.
    private static func draw(_ key: UInt64, _ index: Int) -> Float {
        Float(mix(key ^ mix(UInt64(index))) >> 40) / 16_777_216
    }

    /// Sets the weights `[units, inputs]`, and the biases after them.
    ///
    /// - Parameter parameters: weights and biases, zeroed.
    package func fill(_ parameters: inout MutableSpan<Float>, inputs: Int, units: Int, key: UInt64) {
        let count = inputs * units
        let (inputs, units) = (Float(inputs), Float(units))
        switch initializer {
        case .glorotUniform: uniform(&parameters, 0..<count, limit: (6 / (inputs + units)).squareRoot(), key)
        case .glorotNormal: normal(&parameters, count, deviation: (2 / (inputs + units)).squareRoot(), key)
        case .heUniform: uniform(&parameters, 0..<count, limit: (6 / inputs).squareRoot(), key)
        case .heNormal: normal(&parameters, count, deviation: (2 / inputs).squareRoot(), key)
        case .leCunUniform: uniform(&parameters, 0..<count, limit: (3 / inputs).squareRoot(), key)
        case .leCunNormal: normal(&parameters, count, deviation: (1 / inputs).squareRoot(), key)
        case .pytorch: uniform(&parameters, 0..<parameters.count, limit: 1 / inputs.squareRoot(), key)
        }
    }

    private func uniform(_ values: inout MutableSpan<Float>, _ range: Range<Int>, limit: Float, _ key: UInt64) {
        for index in range { values[index] = (2 * Self.draw(key, index) - 1) * limit }
    }

    /// Draws from the normal distribution by Marsaglia's polar method; a pair of numbers gives one value.
    private func normal(_ values: inout MutableSpan<Float>, _ count: Int, deviation: Float, _ key: UInt64) {
        for index in 0..<count {
            var own = mix(key ^ mix(UInt64(index)))
            while true {
                let x = 2 * Double(own >> 40) / 16_777_216 - 1
                let y = 2 * Double(own & 0xFF_FFFF) / 16_777_216 - 1
                let square = x * x + y * y
                if square > 0, square < 1 {
                    let factor = (-2 * ck_log_double(Float(square)) / square).squareRoot()
                    values[index] = Float(x * factor) * deviation
                    break
                }
                own = mix(own)
            }
        }
    }
}
