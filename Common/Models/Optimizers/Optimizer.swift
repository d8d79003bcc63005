package import Cluster

/// What turns the summed gradient of a step into an update of the parameters: elementwise, from the reduced sums alone,
/// so that all members do the same.
package protocol Optimizer: Sendable {
    /// The optimiser's name in checkpoints.
    var name: String { get }
    /// The names of the arrays that it keeps beside the parameters, each as long as they are.
    var slots: [String] { get }
    /// The first values of the numbers that it keeps.
    var initialScalars: [Double] { get }
    /// The learning rate before any schedule.
    var learningRate: Double { get }

    /// Begins a step, before the tensors are updated.
    func beginStep(_ state: inout OptimizerState)

    /// Updates one tensor, or a part of it.
    ///
    /// - Parameters:
    ///   - view: the values of all tensors, the optimiser's arrays and the sums.
    ///   - range: where the tensor, or the part, lies in them.
    ///   - unit: what a sum is multiplied by to get the mean gradient.
    ///   - rate: the learning rate of this step.
    ///   - scalars: the numbers that the optimiser keeps.
    func update(_ view: ParameterView, in range: Range<Int>, unit: Double, rate: Double, scalars: [Double])
}

/// What an optimiser carries from step to step.
package struct OptimizerState: Sendable, Equatable {
    /// The optimiser's arrays one after another, `[slots, parameters]`, in the order of `Optimizer.slots`.
    package var slots: [Float]
    /// Its numbers, in the order of `Optimizer.initialScalars`.
    package var scalars: [Double]

    /// The state before the first step.
    ///
    /// - Parameter parameterCount: the number of parameters.
    package init(_ optimizer: any Optimizer, parameterCount: Int) {
        slots = .init(repeating: 0, count: optimizer.slots.count * parameterCount)
        scalars = optimizer.initialScalars
    }

    /// A state of known content.
    init(slots: [Float], scalars: [Double]) {
        self.slots = slots
        self.scalars = scalars
    }
}

extension JobDescription.Optimizer {
    /// The optimiser that the job asks for.
    package var implementation: any Optimizer {
        switch self {
        case .sgd(let settings): SGD(settings)
        case .adam(let settings): Adam(settings, decoupled: false)
        case .adamW(let settings): Adam(settings, decoupled: true)
        }
    }
}
