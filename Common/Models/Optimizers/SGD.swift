import CKernels
package import Cluster

/// Gradient descent, with momentum and Nesterov's variant of it as PyTorch has them: the velocity is
/// `momentum * velocity + gradient`.
package struct SGD: Optimizer, Equatable {
    /// How it is set up.
    package let settings: JobDescription.GradientDescent

    /// Creates the optimiser.
    package init(_ settings: JobDescription.GradientDescent) { self.settings = settings }

    package var name: String { "sgd" }
    package var slots: [String] { settings.momentum > 0 ? ["velocity"] : [] }
    package var initialScalars: [Double] { [] }
    package var learningRate: Double { settings.learningRate }

    /// Does nothing: a velocity needs no beginning of a step.
    package func beginStep(_ state: inout OptimizerState) {}

    /// Updates the velocity and the parameters in `range`, in Float32; traps where the sums or the velocity do not
    /// cover all parameters.
    package func update(
        _ parameters: inout [Float], in range: Range<Int>, sums: Span<Int64>, unit: Double, rate: Double,
        state: inout OptimizerState
    ) {
        let count = parameters.count
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        precondition(sums.count >= count && state.slots.count == slots.count * count)
        let step = ck_descent_step(
            unit: unit, momentum: Float(settings.momentum), rate: Float(rate), decay: Float(settings.weightDecay),
            nesterov: settings.nesterov ? 1 : 0)
        let hasVelocity = settings.momentum > 0
        parameters.withUnsafeMutableBufferPointer { parameters in
            state.slots.withUnsafeMutableBufferPointer { slots in
                sums.withUnsafeBufferPointer { sums in
                    guard let parameters = parameters.baseAddress, let sums = sums.baseAddress else { return }
                    let start = range.lowerBound
                    let velocity = hasVelocity ? slots.baseAddress.map { $0 + start } : nil
                    ck_descend(parameters + start, velocity, sums + start, range.count, step)
                }
            }
        }
    }
}
