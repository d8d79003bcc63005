import Bytes

/// The bytes of a training state, big-endian, with its lengths.
package enum Checkpoint {
    private static let magic: UInt32 = 0x424C_434B  // BLCK

    package static func encode(_ state: TrainingState) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(64 + 12 * state.parameters.count)
        func put<T: FixedWidthInteger>(_ value: T) {
            withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
        }
        put(magic)
        put(state.step)
        put(state.powers[0].bitPattern)
        put(state.powers[1].bitPattern)
        put(Int32(state.exponents.count))
        for exponent in state.exponents { put(exponent) }
        for array in [state.parameters, state.first, state.second] {
            put(Int32(array.count))
            for value in array { put(value.bitPattern) }
        }
        return bytes
    }

    /// - Throws: `InputError` where the bytes are no checkpoint of this network.
    package static func decode(_ bytes: [UInt8], for network: Network) throws(InputError) -> TrainingState {
        var reader = ByteReader(bytes.span.bytes)
        guard try reader.u32() == magic else { throw InputError(.badMagic, "this is no checkpoint") }
        let step = try reader.i64()
        let powers = [try reader.f64(), try reader.f64()]
        var exponents: [Int32] = []
        for _ in 0..<(try reader.count32(itemSize: 4)) { exponents.append(try reader.i32()) }
        var arrays: [[Float]] = []
        for _ in 0..<3 {
            let count = try reader.count32(itemSize: 4)
            var array: [Float] = []
            array.reserveCapacity(count)
            for _ in 0..<count { array.append(try reader.f32()) }
            arrays.append(array)
        }
        guard arrays[0].count == network.parameterCount, exponents.count == network.tensors.count, reader.remaining == 0
        else {
            throw InputError(
                .corrupt, "a checkpoint is of another network", expected: "\(network.parameterCount) parameters",
                found: "\(arrays[0].count)")
        }
        var state = TrainingState(parameters: arrays[0], first: arrays[1], second: arrays[2], exponents: exponents)
        state.step = step
        state.powers = powers
        return state
    }
}
