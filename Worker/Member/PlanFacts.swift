/// What `MemberMachine` needs to know of a training plan.
package struct PlanFacts: Equatable, Sendable {
    /// Steps in each epoch; 0 where no sample is in the training part.
    package let stepsPerEpoch: Int64
    /// Epochs to train.
    package let epochs: Int
    /// Steps of the whole training.
    package let lastStep: Int64
    /// Whether the metrics of each epoch change how the training goes on.
    package let followsMetrics: Bool

    /// - Returns: nil where the numbers are negative, or their product does not fit 64 bits.
    package init?(stepsPerEpoch: Int64, epochs: Int, followsMetrics: Bool = false) {
        let (lastStep, overflow) = stepsPerEpoch.multipliedReportingOverflow(by: Int64(epochs))
        guard stepsPerEpoch >= 0, epochs >= 0, !overflow else { return nil }
        self.stepsPerEpoch = stepsPerEpoch
        self.epochs = epochs
        self.lastStep = lastStep
        self.followsMetrics = followsMetrics
    }

    /// Whole epochs that a state after `step` has seen.
    func epochs(after step: Int64) -> Int { stepsPerEpoch > 0 ? Int(step / stepsPerEpoch) : 0 }

    /// Whether an epoch ends with this step.
    func endsEpoch(_ step: Int64) -> Bool { stepsPerEpoch > 0 && step > 0 && step % stepsPerEpoch == 0 }

    /// Whether a state after `step` has seen the whole of this epoch, counted from 1.
    func contains(epoch: Int, step: Int64) -> Bool { epoch <= epochs(after: step) }
}
