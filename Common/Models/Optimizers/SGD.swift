/// Plain gradient descent: `w -= rate * g`.
package struct SGD: Optimizer, Equatable {
    /// The factor of each update.
    package let learningRate: Double

    /// Creates the optimiser.
    package init(learningRate: Double) { self.learningRate = learningRate }

    package var name: String { "sgd" }
    package var slots: [String] { [] }
    package var initialScalars: [Double] { [] }

    /// Does nothing: plain gradient descent carries nothing from step to step.
    package func beginStep(_ state: inout OptimizerState) {}

    /// Subtracts from each parameter in `range` the learning rate times its mean gradient, in Float32.
    package func update(
        _ parameters: inout [Float], in range: Range<Int>, sums: Span<Int64>, unit: Double,
        state: inout OptimizerState
    ) {
        let rate = Float(learningRate)
        for index in range { parameters[index] -= rate * Float(Double(sums[index]) * unit) }
    }
}
