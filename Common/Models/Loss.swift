import CKernels

/// The cross-entropy of scores and classes: the one definition that training and metrics share.
package enum Loss: Sendable, Equatable {
    /// One score a sample, the probability of the class 1.
    case binaryCrossEntropy
    /// A score for each class, which together make 1.
    case categoricalCrossEntropy(classes: Int)

    /// The loss of a model with this many scores a sample.
    package init(outputs: Int) {
        self = outputs == 1 ? .binaryCrossEntropy : .categoricalCrossEntropy(classes: outputs)
    }

    /// Scores a sample.
    package var outputs: Int {
        switch self {
        case .binaryCrossEntropy: 1
        case .categoricalCrossEntropy(let classes): classes
        }
    }

    /// The number of classes that labels may name, from 0.
    package var classes: Int { max(2, outputs) }

    /// The multiplier of losses in sums of whole numbers.
    package static let fixedPointUnit: Double = 4_294_967_296

    /// The probability that a sample's scores give to its label; 0 for a label without a score.
    ///
    /// - Parameters:
    ///   - scores: `[samples, outputs]`.
    ///   - sample: the row of `scores`.
    @inline(__always)
    package func probability(of label: Int32, _ scores: Span<Float>, sample: Int) -> Float {
        switch self {
        case .binaryCrossEntropy: label > 0 ? scores[sample] : 1 - scores[sample]
        case .categoricalCrossEntropy(let classes):
            label >= 0 && Int(label) < classes ? scores[sample * classes + Int(label)] : 0
        }
    }

    /// The loss of one sample as a whole number, `-log(probability)` times `fixedPointUnit`. As the usual frameworks
    /// do, the probability is kept away from 0.
    ///
    /// - Parameter probability: not NaN.
    @inline(__always)
    package static func fixedPoint(probability: Float) -> Int64 {
        Int64((-ck_log_double(max(probability, 1e-7)) * fixedPointUnit).rounded())
    }

    /// The sum of the samples' losses times `fixedPointUnit`. A score that is not a number is left out: the gradient
    /// reports it.
    ///
    /// - Parameters:
    ///   - scores: `[samples, outputs]`, at least as many samples as there are labels.
    ///   - labels: the class of each sample.
    package func sum(_ scores: Span<Float>, labels: Span<Int32>) -> Int64 {
        var sum: Int64 = 0
        for sample in 0..<labels.count {
            let probability = probability(of: labels[sample], scores, sample: sample)
            if probability == probability { sum += Self.fixedPoint(probability: probability) }
        }
        return sum
    }

    /// The gradient of each sample's loss at the input of the last activation, score - truth: for sigmoid and softmax
    /// the activation's derivative cancels against the logarithm's.
    ///
    /// - Parameters:
    ///   - scores: `[samples, outputs]`, at least as many samples as there are labels.
    ///   - labels: the class of each sample.
    ///   - line: the floats from one sample's gradient to the next, at least `outputs`.
    ///   - gradient: receives the samples' gradients.
    package func gradient(
        _ scores: Span<Float>, labels: Span<Int32>, line: Int, to gradient: inout MutableSpan<Float>
    ) {
        switch self {
        case .binaryCrossEntropy:
            for sample in 0..<labels.count {
                let truth: Float = labels[sample] > 0 ? 1 : 0
                gradient[sample * line] = scores[sample] - truth
            }
        case .categoricalCrossEntropy(let classes):
            for sample in 0..<labels.count {
                for unit in 0..<classes {
                    let truth: Float = labels[sample] == unit ? 1 : 0
                    gradient[sample * line + unit] = scores[sample * classes + unit] - truth
                }
            }
        }
    }
}
