import Bytes
import CKernels
import Cluster

/// What training carries from step to step: all of it is in a checkpoint, and it is the same on every member.
package struct TrainingState: Sendable, Equatable {
    /// Steps applied since the beginning.
    package var step: Int64 = 0
    package var parameters: [Float]
    /// Adam's moments; empty for plain descent.
    package var first: [Float]
    package var second: [Float]
    /// beta1^t and beta2^t, as running products: no libm.
    package var powers: [Double] = [1, 1]
    /// For each tensor the e of its fixed-point multiplier 2^e.
    package var exponents: [Int32]

    /// Gradients start with 40 bits after the point.
    private static let startExponent: Int32 = 40

    package init(_ network: Network, _ training: TrainingPlan, seed: UInt64) {
        parameters = network.initialParameters(seed: seed)
        var moments = 0
        if case .adam = training.optimizer { moments = parameters.count }
        first = .init(repeating: 0, count: moments)
        second = first
        exponents = .init(repeating: Self.startExponent, count: network.tensors.count)
    }

    init(parameters: [Float], first: [Float], second: [Float], exponents: [Int32]) {
        self.parameters = parameters
        self.first = first
        self.second = second
        self.exponents = exponents
    }

    /// A larger sum fits after this; decided only by reduced sums.
    package mutating func coarsen(tensor: Int) { exponents[tensor] -= 8 }

    /// Bits that the largest sum of a tensor should have: more would leave less room for a step with larger gradients, fewer would round off
    /// what is left of them near the end of a training.
    private static let bitsWanted = 44
    /// Bits outside of which a multiplier is changed.
    private static let bitsTolerated = 36...52

    /// Adapts a tensor's multiplier to its gradients' size, from the reduced sums alone: the same on every member.
    private mutating func adapt(_ tensor: Int, _ sums: UnsafePointer<Int64>, _ places: Range<Int>) {
        var largest: UInt64 = 0
        for place in places { largest = max(largest, sums[place].magnitude) }
        let bits = 64 - largest.leadingZeroBitCount
        guard largest > 0, !Self.bitsTolerated.contains(bits) else { return }
        exponents[tensor] = min(200, max(-200, exponents[tensor] + Int32(Self.bitsWanted - bits)))
    }

    /// Applies the reduced gradient.
    ///
    /// - Parameters:
    ///   - sums: for each parameter the sum over all rows of its gradient, times 2^e of its tensor.
    ///   - weight: the summed weight of the rows.
    package mutating func apply(
        _ sums: UnsafePointer<Int64>, weight: Double, _ optimizer: JobDescription.Optimizer, _ network: Network
    ) {
        step += 1
        guard weight > 0 else { return }
        if case .adam(_, let beta1, let beta2, _) = optimizer {
            powers[0] *= beta1
            powers[1] *= beta2
        }
        for (index, tensor) in network.tensors.enumerated() {
            defer { adapt(index, sums, tensor) }
            let unit = Double(sign: .plus, exponent: -Int(exponents[index]), significand: 1) / weight
            switch optimizer {
            case .sgd(let rate):
                let rate = Float(rate)
                for place in tensor { parameters[place] -= rate * Float(Double(sums[place]) * unit) }
            case .adam(let rate, let beta1, let beta2, let epsilon):
                parameters.withUnsafeMutableBufferPointer { weights in
                    first.withUnsafeMutableBufferPointer { first in
                        second.withUnsafeMutableBufferPointer { second in
                            let start = tensor.lowerBound
                            ck_adam(
                                weights.baseAddress! + start, first.baseAddress! + start, second.baseAddress! + start,
                                sums + start,
                                tensor.count, unit, Float(beta1), Float(beta2), Float(rate), Float(1 - powers[0]),
                                Float(1 - powers[1]),
                                Float(epsilon))
                        }
                    }
                }
            }
        }
    }

    /// A digest of all of it, in hexadecimal.
    package var wholeDigest: String {
        var hash = FNV1a()
        hash.combine(bytes: Checkpoint.encode(self))
        return String(mix(hash.value), radix: 16)
    }

    /// A digest of the weights that travels with each step, below 2^61.
    package var digest: Int64 {
        var hash = FNV1a()
        for value in parameters { hash.combine(UInt64(value.bitPattern)) }
        return Int64(mix(hash.value) >> 3)
    }
}
