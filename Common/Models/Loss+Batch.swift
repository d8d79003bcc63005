package import Bytes
package import Cluster
package import Features

/// The loss of whole batches, of classes or of targets.
extension Loss {
    /// The loss that a job asks for.
    ///
    /// - Parameters:
    ///   - outputs: scores a sample.
    ///   - target: what is learnt; nil for classes.
    /// - Throws: `InputError` where the loss is one of classes and there is a target, or the other way round.
    package init(
        _ loss: JobDescription.Loss, _ settings: JobDescription.LossSettings, outputs: Int, target: TargetSchema?
    ) throws(InputError) {
        let scores: Scores = outputs == 1 ? .binary : .categorical(classes: outputs)
        guard loss.isRegression == (target != nil) else {
            throw InputError(
                .input, "the loss \(loss.rawValue) does not fit what is learnt",
                expected: target == nil ? "a loss of classes" : "a loss of a target", found: loss.rawValue)
        }
        switch (loss, target) {
        case (.mse, let target?): self.init(.value(ValueLoss(target)))
        case (.huber, let target?): self.init(.value(ValueLoss(target, delta: settings.delta)))
        case (.focal, _): self.init(scores, focus: Focus(gamma: settings.gamma, alpha: settings.alpha))
        case (.binary, _), (.categorical, _), (.mse, nil), (.huber, nil):
            self.init(scores, labelSmoothing: settings.labelSmoothing)
        }
    }

    /// Whether a batch has what its scores are compared with.
    func fits(_ batch: Batch) -> Bool {
        switch scores {
        case .binary, .categorical: batch.labels.count == batch.sampleCount
        case .value: batch.targets.count == batch.sampleCount
        }
    }

    /// The sum of the samples' losses; `total` gives it in the units of a loss.
    ///
    /// - Parameters:
    ///   - scores: `[samples, outputs]`.
    ///   - batch: one that fits.
    package func sum(_ scores: Span<Float>, _ batch: Batch) -> ExactSum {
        switch self.scores {
        case .binary, .categorical: ExactSum(fixedPoint: sum(scores, labels: batch.labels.span))
        case .value(let loss): loss.sum(scores, targets: batch.targets.span)
        }
    }

    /// The gradient of each sample's loss at the input of the last activation.
    ///
    /// - Parameters:
    ///   - scores: `[samples, outputs]`.
    ///   - batch: one that fits.
    ///   - line: the floats from one sample's gradient to the next, at least `outputs`.
    ///   - gradient: receives the samples' gradients.
    func gradient(_ scores: Span<Float>, _ batch: Batch, line: Int, to gradient: inout MutableSpan<Float>) {
        switch self.scores {
        case .binary, .categorical: self.gradient(scores, labels: batch.labels.span, line: line, to: &gradient)
        case .value(let loss): loss.gradient(scores, targets: batch.targets.span, line: line, to: &gradient)
        }
    }

    /// A sum of losses as it is reported: of a target in its units, squared.
    package func total(_ sum: ExactSum) -> Double {
        switch scores {
        case .binary, .categorical: sum.value
        case .value(let loss): sum.value * (loss.spread * loss.spread)
        }
    }
}
