/// What an optimiser updates, and from what: valid while a step is applied.
// SAFETY: those who update at once do so in ranges that do not overlap.
package struct ParameterView: @unchecked Sendable {
    /// The values of all tensors.
    let parameters: UnsafeMutableBufferPointer<Float>
    /// The optimiser's arrays one after another, `[slots, parameters]`.
    let slots: UnsafeMutableBufferPointer<Float>
    /// For each parameter the sum of its gradients in fixed point.
    let sums: UnsafeBufferPointer<Int64>

    /// Calls `body` with a view of these arrays; traps where there are fewer sums than parameters, or the optimiser's
    /// arrays are no multiple of them.
    package static func with(
        _ parameters: inout [Float], _ state: inout OptimizerState, _ sums: Span<Int64>, _ body: (ParameterView) -> Void
    ) {
        precondition(sums.count >= parameters.count && !parameters.isEmpty)
        precondition(state.slots.count.isMultiple(of: parameters.count))
        parameters.withUnsafeMutableBufferPointer { parameters in
            state.slots.withUnsafeMutableBufferPointer { slots in
                sums.withUnsafeBufferPointer { sums in
                    body(ParameterView(parameters: parameters, slots: slots, sums: sums))
                }
            }
        }
    }

    /// The first element of `range` of the parameters, of each of the optimiser's arrays and of the sums; traps where
    /// the range is not one of the parameters, or there are fewer arrays than `slotCount`.
    func start(
        of range: Range<Int>, slotCount: Int
    ) -> (parameters: UnsafeMutablePointer<Float>, slots: [UnsafeMutablePointer<Float>], sums: UnsafePointer<Int64>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= parameters.count)
        precondition(slots.count >= slotCount * parameters.count)
        let first = range.lowerBound
        return (
            parameters.baseAddress.unsafelyUnwrapped + first,
            (0..<slotCount).map { slots.baseAddress.unsafelyUnwrapped + $0 * parameters.count + first },
            sums.baseAddress.unsafelyUnwrapped + first
        )
    }
}
