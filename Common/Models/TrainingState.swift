import Bytes
import CKernels
package import Cluster

/// What training carries from step to step: all of it is in a checkpoint, and it is the same on every member.
package struct TrainingState: Sendable, Equatable {
    /// The tensors whose values it holds.
    package let tensors: [TensorSpec]
    /// The name of the optimiser that it was made with.
    package let optimizerName: String
    /// Steps applied since the beginning.
    package var step: Int64 = 0
    /// The values of all tensors, one after another.
    package var parameters: [Float]
    /// What the optimiser keeps.
    package var optimizer: OptimizerState
    /// For each tensor the e of its fixed-point multiplier 2^e.
    package var exponents: [Int32]
    /// The summed loss of this epoch's steps so far, and the summed weight.
    package var epochLoss = 0.0
    package var epochWeight: Int64 = 0
    /// What the epochs' metrics have made of the training.
    package var course = TrainingCourse()
    /// The parameters after the best epoch, where the plan restores them; else empty.
    package var best: [Float] = []

    /// The exponent with which each tensor begins: 40 bits after the point.
    private static let startExponent: Int32 = 40
    /// The exponents that a state may have. Float32's largest gradient fits at -66 for any number of lanes.
    static let exponentRange: ClosedRange<Int32> = -400...400

    /// The state before the first step.
    ///
    /// - Parameters:
    ///   - seed: determines the initial parameters.
    ///   - keepsBest: whether the parameters of the best epoch are kept.
    package init(_ model: some TrainableModel, _ optimizer: any Optimizer, seed: UInt64, keepsBest: Bool = false) {
        tensors = model.tensors
        optimizerName = optimizer.name
        parameters = model.initialParameters(seed: seed)
        self.optimizer = OptimizerState(optimizer, parameterCount: parameters.count)
        exponents = .init(repeating: Self.startExponent, count: model.tensors.count)
        if keepsBest { best = parameters }
    }

    /// A state of known content.
    init(
        tensors: [TensorSpec], optimizerName: String, step: Int64, parameters: [Float], optimizer: OptimizerState,
        exponents: [Int32], epochLoss: Double = 0, epochWeight: Int64 = 0, course: TrainingCourse = TrainingCourse(),
        best: [Float] = []
    ) {
        self.course = course
        self.best = best
        self.tensors = tensors
        self.optimizerName = optimizerName
        self.step = step
        self.parameters = parameters
        self.optimizer = optimizer
        self.exponents = exponents
        self.epochLoss = epochLoss
        self.epochWeight = epochWeight
    }

    /// Adds a step's loss and weight to those of its epoch.
    ///
    /// - Parameters:
    ///   - loss: the sum over the step's samples, the same on every member.
    ///   - isFirst: whether the step is the epoch's first.
    package mutating func addToEpoch(loss: Double, weight: Int64, isFirst: Bool) {
        epochLoss = (isFirst ? 0 : epochLoss) + loss
        epochWeight = (isFirst ? 0 : epochWeight) &+ weight
    }

    /// The epoch's running metrics: the mean loss of the samples that its steps have seen.
    package var runningMetrics: PartMetrics {
        let loss = epochWeight > 0 ? epochLoss / Double(epochWeight) : 0
        return PartMetrics(events: epochWeight, loss: loss, auc: nil, accuracy: nil)
    }

    /// What a tensor's exponent loses where a gradient was too large for it; decided by reduced sums alone.
    package static let coarserBits: Int32 = 8

    /// The bits that the largest sum of a tensor should have: more would leave less room for a step with larger
    /// gradients, fewer would round off what is left of them near the end of a training.
    private static let targetBits = 44
    /// The bits outside of which a multiplier is changed.
    private static let toleratedBits = 36...52

    /// Adapts a tensor's multiplier to the size of its gradients, from the reduced sums alone: the same on every
    /// member.
    ///
    /// - Parameter largest: a number with as many bits as the largest size of its sums.
    private mutating func adapt(_ tensor: Int, largest: UInt64) {
        let bits = 64 - largest.leadingZeroBitCount
        guard largest > 0, !Self.toleratedBits.contains(bits) else { return }
        exponents[tensor] = min(200, max(-200, exponents[tensor] + Int32(Self.targetBits - bits)))
    }

    /// Applies the reduced gradient.
    ///
    /// - Parameters:
    ///   - sums: for each parameter the sum over all samples of its gradient, times 2^e of its tensor.
    ///   - weight: the summed weight of the samples; with 0 the parameters stay as they are.
    ///   - rate: the learning rate of this step.
    ///   - clipNorm: the largest norm of the whole gradient; a longer one is scaled down to it.
    ///   - loop: has threads work on shares of the parameters; the result does not depend on it.
    package mutating func apply(
        _ sums: Span<Int64>, weight: Double, _ optimizer: any Optimizer, rate: Double, clipNorm: Double? = nil,
        loop: ParallelLoop = .serial
    ) {
        let ranges = tensors.ranges
        precondition(ranges.count == exponents.count && sums.count >= parameters.count)
        step += 1
        guard weight > 0 else { return }
        optimizer.beginStep(&self.optimizer)
        let units = exponents.map { Double(sign: .plus, exponent: -Int($0), significand: 1) / weight }
        let scale = clipNorm.map { clipScale($0, sums, units, ranges) } ?? 1
        var largest = [UInt64](repeating: 0, count: loop.count * ranges.count)
        let (tensors, scalars) = (tensors, self.optimizer.scalars)
        largest.withUnsafeMutableBufferPointer { largest in
            ParameterView.with(&parameters, &self.optimizer, sums) { view in
                let update = StepUpdate(
                    view: view, optimizer: optimizer, tensors: tensors, ranges: ranges, units: units, scale: scale,
                    rate: rate, scalars: scalars, largest: largest)
                loop.run(view.parameters.indices) { share, own in update.apply(share, own) }
            }
        }
        for tensor in ranges.indices {
            adapt(tensor, largest: (0..<loop.count).reduce(0) { $0 | largest[$1 * ranges.count + tensor] })
        }
    }

    /// What the gradient is multiplied by so that its norm is at most `limit`: it follows from the reduced sums alone.
    private func clipScale(_ limit: Double, _ sums: Span<Int64>, _ units: [Double], _ ranges: [Range<Int>]) -> Double {
        var square = 0.0
        for (tensor, range) in ranges.enumerated() where tensors[tensor].momentum == nil {
            square += sums.extracting(range).withUnsafeBufferPointer { sums in
                sums.baseAddress.map { ck_square_sum($0, sums.count, units[tensor]) } ?? 0
            }
        }
        let norm = square.squareRoot()
        return norm > limit ? limit / norm : 1
    }

    /// Takes the metrics of an epoch's validation part, once: an epoch that was taken before changes nothing.
    ///
    /// - Parameter epoch: the epoch's number, from 1.
    package mutating func endEpoch(_ epoch: Int, _ metrics: PartMetrics, _ settings: TrainingCourseSettings) {
        guard course.epochs < epoch else { return }
        let isBest = course.end(epoch: epoch, metrics, settings)
        if isBest, !best.isEmpty { best = parameters }
    }

    /// Whether the trained model is that of the best epoch: where the plan restores it, and an epoch has a metric.
    package var isBestRestored: Bool { !best.isEmpty && course.bestEpoch > 0 }

    /// The parameters of the trained model.
    package var finalParameters: [Float] { isBestRestored ? best : parameters }

    /// A digest of the state, in hexadecimal: equal for members that are to go on together. What the epochs' metrics
    /// made of it is left out: at an epoch's end one member may have them already, and the others take them next.
    package var digest: String {
        var hash = FNV1a()
        hash.combine(UInt64(bitPattern: step))
        for exponent in exponents { hash.combine(UInt64(UInt32(bitPattern: exponent))) }
        for value in parameters { hash.combine(UInt64(value.bitPattern)) }
        for value in optimizer.slots { hash.combine(UInt64(value.bitPattern)) }
        for value in optimizer.scalars { hash.combine(value.bitPattern) }
        hash.combine(epochLoss.bitPattern)
        hash.combine(UInt64(bitPattern: epochWeight))
        return String(mix(hash.value), radix: 16)
    }

    /// A digest of the parameters that travels with each step, below 2^61.
    package var parameterDigest: Int64 {
        parameters.withUnsafeBufferPointer { values in
            values.baseAddress.map { Int64(ck_digest($0, values.count)) } ?? 0
        }
    }
}
