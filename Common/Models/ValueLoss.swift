package import Features

/// The loss of one output and a target. It is computed of normalised values, and counted and reported in the target's
/// units, squared.
package struct ValueLoss: Sendable, Equatable {
    package let target: TargetSchema
    /// The distance from which the loss is linear, in units of the normalised target; nil for the squared error.
    package let delta: Double?
    /// A power of two near the target's deviation: what is counted is counted in units of it.
    let spread: Double
    /// What turns a loss of normalised values into one in units of the squared spread.
    private let unit: Double

    /// Creates the loss of a target with finite moments, a scale and a deviation above 0.
    ///
    /// - Parameter delta: above 0; nil for the squared error.
    package init(_ target: TargetSchema, delta: Double? = nil) {
        self.target = target
        self.delta = delta
        spread = Double(sign: .plus, exponent: Int(target.deviation.exponent), significand: 1)
        let ratio = 1 / (Double(target.scale) * spread)
        unit = ratio * ratio
    }

    /// The loss of a distance in units of the normalised target: its square, or after Huber half its square up to
    /// `delta` and then a line.
    @inline(__always)
    func loss(_ distance: Double) -> Double {
        guard let delta else { return distance * distance }
        let size = abs(distance)
        return size <= delta ? 0.5 * distance * distance : delta * (size - 0.5 * delta)
    }

    /// The derivative of the loss.
    @inline(__always)
    func slope(_ distance: Float) -> Float {
        guard let delta else { return 2 * distance }
        let limit = Float(delta)
        // A distance that is not a number stays one, so that the gradient shows it.
        return distance > limit ? limit : distance < -limit ? -limit : distance
    }

    /// The loss of a score in units of the squared spread.
    @inline(__always)
    func counted(score: Float, target value: Float) -> Double {
        loss(Double(score - target.normalised(value))) * unit
    }

    // MARK: All samples

    /// The sum of the samples' losses in units of the squared spread. A score that is not a number is left out: the
    /// gradient reports it.
    ///
    /// - Parameters:
    ///   - scores: one a sample, at least as many as there are targets.
    ///   - targets: in the target's units.
    package func sum(_ scores: Span<Float>, targets: Span<Float>) -> ExactSum {
        var sum = ExactSum()
        for sample in 0..<targets.count {
            let loss = counted(score: scores[sample], target: targets[sample])
            // What no sum can hold counts as the most that one can.
            if loss == loss, let summand = ExactSum(min(loss, ExactSum.limit / 2)) { sum += summand }
        }
        return sum
    }

    /// The derivative of each sample's loss at its score.
    ///
    /// - Parameters:
    ///   - scores: one a sample, at least as many as there are targets.
    ///   - targets: in the target's units.
    ///   - line: the floats from one sample's gradient to the next, at least 1.
    ///   - gradient: receives the samples' gradients.
    package func gradient(
        _ scores: Span<Float>, targets: Span<Float>, line: Int, to gradient: inout MutableSpan<Float>
    ) {
        for sample in 0..<targets.count {
            gradient[sample * line] = slope(scores[sample] - target.normalised(targets[sample]))
        }
    }
}
