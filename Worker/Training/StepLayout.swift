import Collectives
import Models

/// Where things lie in the numbers that one step sums.
struct StepLayout: Sendable {
    let tensors: [TensorSpec]
    /// Where each tensor's gradient lies; the first number is that of the first parameter.
    let ranges: [Range<Int>]
    /// The index of the losses' sum, an `ExactSum`.
    let loss: Int
    /// The index of the samples' summed weight.
    let weight: Int
    /// The index of the first tensor's number of lanes whose gradient was too large for the multiplier.
    let overflow: Int
    /// The index of the first lane's nonfinite tensor: its number from 1, or 0 where all are finite.
    let nonfinite: Int
    /// The index of the first member's digest of the parameters.
    let digests: Int
    /// The number of numbers.
    let count: Int

    init(_ tensors: [TensorSpec], lanes: Int, members: Int) {
        self.tensors = tensors
        ranges = tensors.ranges
        loss = tensors.parameterCount
        weight = loss + ExactSum.digitCount
        overflow = weight + 1
        nonfinite = overflow + tensors.count
        digests = nonfinite + lanes
        count = max(ProcessGroup.minBufferCount, digests + members)
    }
}
