import CKernels

/// The loss of scores and what they are compared with: the one definition that training and metrics share. What is here
/// is that of classes; `ValueLoss` is that of a target.
package struct Loss: Sendable, Equatable {
    /// What the scores mean.
    package enum Scores: Sendable, Equatable {
        /// One score a sample, the probability of the class 1.
        case binary
        /// A score for each class, which together make 1.
        case categorical(classes: Int)
        /// One score a sample, the normalised value of a target.
        case value(ValueLoss)
    }

    /// What focal loss (Lin and others) weighs a sample by: `alpha (1 - p)^gamma`, p being the probability that its
    /// scores give to its label.
    package struct Focus: Sendable, Equatable {
        /// The exponent, 0 or more.
        package var gamma: Double
        /// The weight of class 1, that of class 0 being 1 less it; nil weighs all classes alike.
        package var alpha: Double?

        /// Creates the weighing.
        package init(gamma: Double, alpha: Double? = nil) {
            self.gamma = gamma
            self.alpha = alpha
        }
    }

    package let scores: Scores
    /// The share of each label that is spread over all classes, from 0 to below 1.
    package let labelSmoothing: Double
    /// nil for plain cross-entropy.
    package let focus: Focus?

    /// Creates a loss. Labels are either smoothed or focused on, not both.
    package init(_ scores: Scores, labelSmoothing: Double = 0, focus: Focus? = nil) {
        precondition(labelSmoothing == 0 || focus == nil)
        self.scores = scores
        self.labelSmoothing = labelSmoothing
        self.focus = focus
    }

    /// The cross-entropy of a model with this many scores a sample.
    package init(outputs: Int) { self.init(outputs == 1 ? .binary : .categorical(classes: outputs)) }

    /// Scores a sample.
    package var outputs: Int {
        switch scores {
        case .binary, .value: 1
        case .categorical(let classes): classes
        }
    }

    /// The number of classes that labels may name, from 0.
    package var classes: Int { max(2, outputs) }

    /// The multiplier of losses in sums of whole numbers.
    package static let fixedPointUnit: Double = 4_294_967_296

    // MARK: One sample

    /// The probability that a sample's scores give to a class; 0 for one without a score.
    ///
    /// - Parameters:
    ///   - scores: `[samples, outputs]`.
    ///   - sample: the row of `scores`.
    @inline(__always)
    package func probability(of label: Int32, _ scores: Span<Float>, sample: Int) -> Float {
        switch self.scores {
        case .binary: label > 0 ? scores[sample] : 1 - scores[sample]
        case .categorical(let classes):
            label >= 0 && Int(label) < classes ? scores[sample * classes + Int(label)] : 0
        case .value: 0
        }
    }

    /// -log(probability). As the usual frameworks do, the probability is kept away from 0.
    @inline(__always)
    private static func surprise(_ probability: Float) -> Double { -ck_log_double(max(probability, 1e-7)) }

    @inline(__always)
    private static func fixedPoint(_ loss: Double) -> Int64 { Int64((loss * fixedPointUnit).rounded()) }

    /// The loss of one sample as a whole number, times `fixedPointUnit`; 0 for a score that is not a number.
    ///
    /// - Parameters:
    ///   - scores: `[samples, outputs]`.
    ///   - sample: the row of `scores`.
    package func fixedPoint(_ scores: Span<Float>, sample: Int, label: Int32) -> Int64 {
        let probability = probability(of: label, scores, sample: sample)
        guard probability == probability else { return 0 }
        if let focus {
            let weight = weight(of: label, focus) * Self.power(1 - Double(probability), focus.gamma)
            return Self.fixedPoint(weight * Self.surprise(probability))
        }
        guard labelSmoothing > 0 else { return Self.fixedPoint(Self.surprise(probability)) }
        var loss = (1 - labelSmoothing) * Self.surprise(probability)
        let share = labelSmoothing / Double(classes)
        for other in 0..<Int32(classes) {
            let probability = self.probability(of: other, scores, sample: sample)
            if probability == probability { loss += share * Self.surprise(probability) }
        }
        return Self.fixedPoint(loss)
    }

    private func weight(of label: Int32, _ focus: Focus) -> Double {
        focus.alpha.map { label > 0 ? $0 : 1 - $0 } ?? 1
    }

    /// base^exponent for a base from 0 to 1: by products for whole exponents, else by our own exp and log.
    private static func power(_ base: Double, _ exponent: Double) -> Double {
        if exponent == exponent.rounded(), exponent <= 16 {
            return (0..<Int(exponent)).reduce(1.0) { product, _ in product * base }
        }
        guard base > 0 else { return 0 }
        var value = Float(exponent * ck_log_double(Float(base)))
        ck_exp(&value, 1)
        return Double(value)
    }

    // MARK: All samples

    /// The sum of the samples' losses times `fixedPointUnit`. A score that is not a number is left out: the gradient
    /// reports it.
    ///
    /// - Parameters:
    ///   - scores: `[samples, outputs]`, at least as many samples as there are labels.
    ///   - labels: the class of each sample.
    package func sum(_ scores: Span<Float>, labels: Span<Int32>) -> Int64 {
        var sum: Int64 = 0
        for sample in 0..<labels.count { sum += fixedPoint(scores, sample: sample, label: labels[sample]) }
        return sum
    }

    /// The gradient of each sample's loss at the input of the last activation: for cross-entropy score - truth, since
    /// the derivative of sigmoid and softmax cancels against the logarithm's.
    ///
    /// - Parameters:
    ///   - scores: `[samples, outputs]`, at least as many samples as there are labels.
    ///   - labels: the class of each sample.
    ///   - line: the floats from one sample's gradient to the next, at least `outputs`.
    ///   - gradient: receives the samples' gradients.
    package func gradient(
        _ scores: Span<Float>, labels: Span<Int32>, line: Int, to gradient: inout MutableSpan<Float>
    ) {
        if let focus { return focusedGradient(focus, scores, labels: labels, line: line, to: &gradient) }
        let share = Float(labelSmoothing / Double(classes))
        let whole = Float(1 - labelSmoothing) + share
        switch self.scores {
        case .binary:
            for sample in 0..<labels.count {
                gradient[sample * line] = scores[sample] - (labels[sample] > 0 ? whole : share)
            }
        case .categorical(let classes):
            for sample in 0..<labels.count {
                for unit in 0..<classes {
                    let truth = labels[sample] == unit ? whole : share
                    gradient[sample * line + unit] = scores[sample * classes + unit] - truth
                }
            }
        case .value: preconditionFailure("a target has no classes")
        }
    }

    /// With p the label's probability and w its weight, `w (gamma p log p (1 - p)^(gamma - 1) - (1 - p)^gamma)` times
    /// the derivative of log p.
    private func focusedGradient(
        _ focus: Focus, _ scores: Span<Float>, labels: Span<Int32>, line: Int, to gradient: inout MutableSpan<Float>
    ) {
        for sample in 0..<labels.count {
            let label = labels[sample]
            let single = probability(of: label, scores, sample: sample)
            let (p, rest) = (Double(single), 1 - Double(single))
            // (1 - p)^(gamma - 1) has no limit at p = 1 for a gamma below 1; its product with log p is 0 there.
            let slope = rest > 0 ? Self.power(rest, focus.gamma) / rest : 0
            let factor =
                weight(of: label, focus)
                * (-focus.gamma * p * Self.surprise(single) * slope - Self.power(rest, focus.gamma))
            switch self.scores {
            case .binary: gradient[sample * line] = Float(factor * (label > 0 ? rest : -rest))
            case .categorical(let classes):
                for unit in 0..<classes {
                    let truth = label == unit ? 1.0 : 0
                    gradient[sample * line + unit] = Float(factor * (truth - Double(scores[sample * classes + unit])))
                }
            case .value: preconditionFailure("a target has no classes")
            }
        }
    }
}
