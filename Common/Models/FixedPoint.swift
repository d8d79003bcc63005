import CKernels

/// Gradients as whole numbers: value times 2^e, rounded to the nearest even. Sums of whole numbers do not depend on
/// their order, so a model is the same for any number of workers.
package enum FixedPoint {
    /// What became of a gradient that was to be added.
    package enum Outcome: Sendable, Equatable {
        case added
        /// A value is too large for the multiplier; nothing was added.
        case overflow
        /// A value is not finite; nothing was added.
        case nonfinite
    }

    /// The size below which each of `lanes` summands must stay so that their sum cannot wrap.
    package static func limit(lanes: Int) -> Double { 4_611_686_018_427_387_904 / Double(max(1, lanes)) }

    /// Adds a tensor's gradient to sums, whole or not at all.
    ///
    /// - Parameters:
    ///   - gradient: as many values as there are sums.
    ///   - exponent: e of the multiplier 2^e.
    ///   - limit: the size below which each product must stay.
    package static func add(
        _ gradient: Span<Float>, to sums: inout MutableSpan<Int64>, exponent: Int32, limit: Double
    ) -> Outcome {
        let count = gradient.count
        precondition(sums.count == count)
        let scale = Double(sign: .plus, exponent: Int(exponent), significand: 1)
        let code = gradient.withUnsafeBufferPointer { gradient in
            sums.withUnsafeMutableBufferPointer { sums in
                guard let gradient = gradient.baseAddress, let sums = sums.baseAddress else { return Int32(0) }
                return ck_add_fixed_point(sums, gradient, count, scale, limit)
            }
        }
        return code == 0 ? .added : code == 1 ? .overflow : .nonfinite
    }
}
