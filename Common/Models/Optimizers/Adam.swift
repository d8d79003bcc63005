import CKernels
package import Cluster

/// Adam after Kingma and Ba, with moments in Float32, and AdamW after Loshchilov and Hutter. Its bias corrections come
/// from running products of the betas: no power function, whose last bit depends on the library.
package struct Adam: Optimizer, Equatable {
    /// How it is set up.
    package let settings: JobDescription.AdaptiveMoments
    /// Whether weights decay by themselves (AdamW); else their decay is part of the gradient.
    package let decoupled: Bool

    /// Creates the optimiser.
    package init(_ settings: JobDescription.AdaptiveMoments, decoupled: Bool) {
        self.settings = settings
        self.decoupled = decoupled
    }

    package var name: String { decoupled ? "adamw" : "adam" }
    package var slots: [String] { ["first_moment", "second_moment"] }
    /// beta1^t and beta2^t after t steps.
    package var initialScalars: [Double] { [1, 1] }
    package var learningRate: Double { settings.learningRate }

    /// Advances the running products of the betas by one step.
    package func beginStep(_ state: inout OptimizerState) {
        state.scalars[0] *= settings.beta1
        state.scalars[1] *= settings.beta2
    }

    /// Updates the moments and the parameters in `range`, in Float32; traps where the view does not have them.
    package func update(_ view: ParameterView, in range: Range<Int>, unit: Double, rate: Double, scalars: [Double]) {
        let step = ck_adam_step(
            unit: unit, beta1: Float(settings.beta1), beta2: Float(settings.beta2),
            rate: Float(rate / (1 - scalars[0])),
            correction: Float(1 / (1 - scalars[1]).squareRoot()), epsilon: Float(settings.epsilon),
            decay: decoupled ? 0 : Float(settings.weightDecay),
            keep: decoupled ? Float(1 - rate * settings.weightDecay) : 1)
        let own = view.start(of: range, slotCount: 2)
        ck_adam(own.parameters, own.slots[0], own.slots[1], own.sums, range.count, step)
    }
}
