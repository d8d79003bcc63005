import CKernels

/// Adam after Kingma and Ba, with moments in Float32. Its bias corrections come from running products of the betas: no
/// power function, whose last bit depends on the library.
package struct Adam: Optimizer, Equatable {
    package let learningRate: Double
    /// The decay of the first moment, from 0 to below 1.
    package let beta1: Double
    /// The decay of the second moment, from 0 to below 1.
    package let beta2: Double
    /// Added to the root of the second moment, above 0.
    package let epsilon: Double

    /// Creates the optimiser.
    package init(learningRate: Double, beta1: Double, beta2: Double, epsilon: Double) {
        self.learningRate = learningRate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
    }

    package var name: String { "adam" }
    package var slots: [String] { ["first_moment", "second_moment"] }
    /// beta1^t and beta2^t after t steps.
    package var initialScalars: [Double] { [1, 1] }

    /// Advances the running products of the betas by one step.
    package func beginStep(_ state: inout OptimizerState) {
        state.scalars[0] *= beta1
        state.scalars[1] *= beta2
    }

    /// Updates the moments and the parameters in `range`, in Float32; traps where the sums or the moments do not cover
    /// all parameters.
    package func update(
        _ parameters: inout [Float], in range: Range<Int>, sums: Span<Int64>, unit: Double,
        state: inout OptimizerState
    ) {
        let count = parameters.count
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        precondition(sums.count >= count && state.slots.count == 2 * count)
        let step = Float(learningRate / (1 - state.scalars[0]))
        let correction = Float(1 / (1 - state.scalars[1]).squareRoot())
        parameters.withUnsafeMutableBufferPointer { parameters in
            state.slots.withUnsafeMutableBufferPointer { slots in
                sums.withUnsafeBufferPointer { sums in
                    guard let parameters = parameters.baseAddress, let slots = slots.baseAddress,
                        let sums = sums.baseAddress
                    else { return }
                    let start = range.lowerBound
                    ck_adam(
                        parameters + start, slots + start, slots + count + start, sums + start, range.count, unit,
                        Float(beta1), Float(beta2), step, correction, Float(epsilon))
                }
            }
        }
    }
}
