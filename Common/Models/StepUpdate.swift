import CKernels

/// The update of all tensors by one step's sums, in shares that may run at once: each parameter's update depends on its
/// own sum alone, so that the shares do not matter.
// SAFETY: shares have ranges of the parameters and rows of `largest` of their own.
struct StepUpdate: @unchecked Sendable {
    let view: ParameterView
    let optimizer: any Optimizer
    let tensors: [TensorSpec]
    let ranges: [Range<Int>]
    /// For each tensor what its sums are multiplied by to get the mean gradient.
    let units: [Double]
    /// What the mean gradient is multiplied by.
    let scale: Double
    let rate: Double
    let scalars: [Double]
    /// `[shares, tensors]`: numbers with as many bits as the largest size of a tensor's sums in the share.
    let largest: UnsafeMutableBufferPointer<UInt64>

    /// Updates the parameters of one share's range.
    func apply(_ share: Int, _ own: Range<Int>) {
        for (tensor, range) in ranges.enumerated() {
            let part = range.clamped(to: own)
            guard !part.isEmpty else { continue }
            if let momentum = tensors[tensor].momentum {
                let unit = momentum * units[tensor]
                for index in part { view.parameters[index] -= Float(Double(view.sums[index]) * unit) }
            } else {
                optimizer.update(view, in: part, unit: units[tensor] * scale, rate: rate, scalars: scalars)
            }
            largest[share * ranges.count + tensor] = ck_largest_magnitude(
                view.sums.baseAddress.unsafelyUnwrapped + part.lowerBound, part.count)
        }
    }
}
