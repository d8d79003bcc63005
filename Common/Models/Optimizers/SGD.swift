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

    /// Updates the velocity and the parameters in `range`, in Float32; traps where the view does not have them.
    package func update(_ view: ParameterView, in range: Range<Int>, unit: Double, rate: Double, scalars: [Double]) {
        let step = ck_descent_step(
            unit: unit, momentum: Float(settings.momentum), rate: Float(rate), decay: Float(settings.weightDecay),
            nesterov: settings.nesterov ? 1 : 0)
        let own = view.start(of: range, slotCount: slots.count)
        ck_descend(own.parameters, own.slots.first, own.sums, range.count, step)
    }
}
