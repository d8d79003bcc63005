import CKernels

/// Gradients as whole numbers: value times 2^e, rounded to the nearest even. Sums of whole numbers do not depend on
/// their order, so a model is the same for any number of workers.
package enum FixedPoint {
    /// What became of a gradient that was to be added.
    package enum Outcome: Sendable, Equatable {
        case added
        /// A product is 2^51 or more in size, so that 4,096 lanes cannot wrap; nothing was added.
        case overflow
        /// A value is not finite; nothing was added.
        case nonfinite
    }

    /// Adds a tensor's gradient to sums, whole or not at all.
    ///
    /// - Parameters:
    ///   - gradient: as many values as there are sums.
    ///   - exponent: e of the multiplier 2^e.
    package static func add(
        _ gradient: Span<Float>, to sums: inout MutableSpan<Int64>, exponent: Int32
    ) -> Outcome {
        let count = gradient.count
        precondition(sums.count == count)
        let scale = Double(sign: .plus, exponent: Int(exponent), significand: 1)
        let code = gradient.withUnsafeBufferPointer { gradient in
            sums.withUnsafeMutableBufferPointer { sums in
                guard let gradient = gradient.baseAddress, let sums = sums.baseAddress else { return Int32(0) }
                return ck_add_fixed_point(sums, gradient, count, scale)
            }
        }
        return code == 0 ? .added : code == 1 ? .overflow : .nonfinite
    }

    /// Adds whole numbers to as many sums.
    package static func add(_ values: Span<Int64>, to sums: UnsafeMutableBufferPointer<Int64>) {
        precondition(values.count == sums.count)
        values.withUnsafeBufferPointer { values in
            guard let values = values.baseAddress, let start = sums.baseAddress else { return }
            ck_add_whole(start, values, sums.count)
        }
    }
}
