import Bytes
import Cluster
import Models
import Testing

@Suite struct CheckpointTests {
    static let adam = Adam(.init(learningRate: 0.1), decoupled: false)
    static let sgd = SGD(.init(learningRate: 0.1))

    private func model() throws -> NativeModel {
        try NativeModel(
            inputs: 2, layers: [.dense(units: 3, activation: .tanh), .dense(units: 1, activation: .sigmoid)])
    }

    private func state(_ optimizer: any Optimizer) throws -> TrainingState {
        var state = TrainingState(try model(), optimizer, seed: 5)
        let sums = state.parameters.indices.map { Int64($0) << 36 }
        state.apply(sums.span, weight: 3, optimizer, rate: 0.1)
        return state
    }

    private func decode(_ bytes: [UInt8], _ optimizer: any Optimizer = adam) throws -> TrainingState {
        try Checkpoint.decode(bytes, tensors: try model().tensors, optimizer)
    }

    /// The bytes of format 1, with each part as it is given.
    private struct Format1 {
        var step: Int64 = 7
        var powers: [Double] = [0.5, 0.25]
        var exponents: [Int32] = [40, 41, 42, 43]
        var exponentCount: Int32?
        var parameters = [Float](repeating: 1, count: 13)
        var first = [Float](repeating: 2, count: 13)
        var second = [Float](repeating: 3, count: 13)
        var counts: [Int32?] = [nil, nil, nil]
        var tail: [UInt8] = []

        var bytes: [UInt8] {
            var bytes: [UInt8] = []
            func put<T: FixedWidthInteger>(_ value: T) {
                withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
            }
            put(UInt32(0x424C_434B))
            put(step)
            for power in powers { put(power.bitPattern) }
            put(exponentCount ?? Int32(exponents.count))
            for exponent in exponents { put(exponent) }
            for (array, count) in zip([parameters, first, second], counts) {
                put(count ?? Int32(array.count))
                for value in array { put(value.bitPattern) }
            }
            return bytes + tail
        }
    }

    @Test func whatIsWrittenIsRead() throws {
        for optimizer in [Self.adam, Self.sgd] as [any Optimizer] {
            let state = try state(optimizer)
            #expect(try decode(Checkpoint.encode(state), optimizer) == state)
            let other = TrainingState(try model(), optimizer, seed: 6)
            #expect(Checkpoint.encode(other).count == Checkpoint.encode(state).count)
            #expect(other.digest != state.digest && other.parameterDigest != state.parameterDigest)
        }
    }

    @Test func format1IsRead() throws {
        let state = try decode(Format1().bytes)
        #expect(state.step == 7 && state.exponents == [40, 41, 42, 43] && state.optimizer.scalars == [0.5, 0.25])
        #expect(state.parameters == .init(repeating: 1, count: 13))
        #expect(state.optimizer.slots == .init(repeating: 2, count: 13) + .init(repeating: 3, count: 13))
        let plain = try decode(Format1(powers: [1, 1], first: [], second: []).bytes, Self.sgd)
        #expect(plain.optimizer.slots.isEmpty && plain.optimizer.scalars.isEmpty && plain.step == 7)
    }

    @Test func eachWrongPartIsAnError() throws {
        let short = [Float](repeating: 0, count: 12)
        let long = [Float](repeating: 0, count: 14)
        let wrong: [(String, Format1)] = [
            ("parameters", Format1(parameters: short)), ("parameters", Format1(parameters: long)),
            ("parameters", Format1(parameters: [])), ("first moment", Format1(first: short)),
            ("first moment", Format1(first: long)), ("first moment", Format1(first: [])),
            ("second moment", Format1(second: short)), ("second moment", Format1(second: long)),
            ("second moment", Format1(second: [])), ("tensors", Format1(exponents: [40, 40, 40])),
            ("tensors", Format1(exponents: [40, 40, 40, 40, 40])),
            ("exponent", Format1(exponents: [40, 40, 40, .min])),
            ("step", Format1(step: -1)), ("finite", Format1(powers: [.nan, 0.5])),
            ("end", Format1(tail: [0])),
            // Lengths that their arrays do not have, up to what would need 8 GiB.
            ("tensors", Format1(exponentCount: .max)), ("parameters", Format1(counts: [.max, nil, nil])),
            ("parameters", Format1(counts: [-1, nil, nil])), ("first moment", Format1(counts: [nil, .max, nil])),
            ("second moment", Format1(counts: [nil, nil, .max])),
        ]
        for (what, bytes) in wrong {
            let error = #expect(throws: InputError.self, "\(what)") { try decode(bytes.bytes) }
            #expect(error?.description.contains(what) == true, "\(what): \(error?.description ?? "no error")")
        }
    }

    @Test func anotherModelOrOptimizerIsAnError() throws {
        let bytes = Checkpoint.encode(try state(Self.adam))
        #expect(throws: InputError.self) { try decode(bytes, Self.sgd) }
        #expect(throws: InputError.self) { try decode(Checkpoint.encode(try state(Self.sgd))) }
        #expect(throws: InputError.self) { try decode(Format1(first: [], second: []).bytes) }
        #expect(throws: InputError.self) { try decode(Format1().bytes, Self.sgd) }
        // As many parameters, in other shapes: 1 * 2 + 1 + 1 * 5 + 5 = 13.
        let other = try NativeModel(
            inputs: 2, layers: [.dense(units: 1, activation: .tanh), .dense(units: 5, activation: .softmax)])
        #expect(other.tensors.parameterCount == 13)
        let error = #expect(throws: InputError.self) {
            try Checkpoint.decode(bytes, tensors: other.tensors, Self.adam)
        }
        #expect(error?.description.contains("dense1.weights") == true)
    }

    @Test func aNewerFormatIsNamed() throws {
        var bytes = Checkpoint.encode(try state(Self.adam))
        bytes[7] = 6
        let error = #expect(throws: InputError.self) { try decode(bytes) }
        #expect(error?.description.contains("newer version") == true)
    }

    /// Format 4 had the running loss in units of 2^-32. Format 3 had no course of the training before the arrays and no
    /// best parameters after them; format 2 had no running loss between the step and the optimiser either.
    @Test func earlierFormatsAreRead() throws {
        var whole = try state(Self.adam)
        whole.addToEpoch(loss: 12, weight: 3, isFirst: true)
        var bytes = Checkpoint.encode(whole)
        #expect(try decode(bytes) == whole && whole.runningMetrics.events == 3)
        // A whole number, as formats 3 and 4 had it.
        bytes.replaceSubrange(16..<24, with: withUnsafeBytes(of: (Int64(12) << 32).bigEndian) { [UInt8]($0) })
        bytes[7] = 4
        #expect(try decode(bytes) == whole)
        bytes.removeLast(8)
        let arrays = 2 * 8 + 4 * (whole.parameters.count + whole.optimizer.slots.count)
        bytes.removeSubrange(bytes.count - arrays - 56..<bytes.count - arrays)
        bytes[7] = 3
        #expect(try decode(bytes) == whole)
        let kept = try Checkpoint.decode(bytes, tensors: whole.tensors, Self.adam, keepsBest: true)
        #expect(kept.best == whole.parameters && kept.course == TrainingCourse())
        bytes[7] = 0
        let error = #expect(throws: InputError.self) { try decode(bytes) }
        #expect(error?.description.contains("newer") == false)
        bytes[7] = 2
        bytes.removeSubrange(16..<32)
        whole.addToEpoch(loss: 0, weight: 0, isFirst: true)
        #expect(try decode(bytes) == whole)
    }

    @Test func everyPrefixAndEveryFlippedByteIsSafe() throws {
        for whole in [Checkpoint.encode(try state(Self.adam)), Format1().bytes] {
            for count in 0..<whole.count {
                #expect(throws: InputError.self) { try decode(Array(whole.prefix(count))) }
            }
            for index in whole.indices {
                for bit in [1, 0x80] as [UInt8] {
                    var bytes = whole
                    bytes[index] ^= bit
                    // A state that is still one fits the model in every array.
                    if let state = try? decode(bytes) {
                        #expect(state.parameters.count == 13 && state.optimizer.slots.count == 26)
                    }
                }
            }
        }
    }
}
