package import Bytes

/// The bytes of a training state, big-endian.
///
/// Format 5 begins with the magic number and the format, names the optimiser and the tensors' shapes, and holds each
/// array with its length. Format 4 had the epoch's running loss as a whole number in units of 2^-32; format 3 lacked
/// the training's course and the best parameters, format 2 the epoch's running loss and weight too. Format 1 began with
/// another magic number, named nothing, and always had two moments and two powers; all are still read. A state that
/// does not fit the model and the optimiser in every array is an error: the arithmetic relies on their lengths.
package enum Checkpoint {
    /// The format that is written.
    package static let currentFormat: UInt32 = 5
    /// BLCF
    private static let magic: UInt32 = 0x424C_4346
    /// BLCK, without a format after it.
    private static let magicOfFormat1: UInt32 = 0x424C_434B

    /// Writes a state. States of one model and one optimiser give the same number of bytes.
    package static func encode(_ state: TrainingState) -> [UInt8] {
        var writer = Writer()
        writer.bytes.reserveCapacity(
            4 * (state.parameters.count + state.optimizer.slots.count + state.best.count) + 64 * state.tensors.count
                + 256)
        writer.put(magic)
        writer.put(currentFormat)
        writer.put(state.step)
        writer.put(state.epochLoss.bitPattern)
        writer.put(state.epochWeight)
        writer.put(Int32(state.optimizerName.utf8.count))
        writer.bytes += state.optimizerName.utf8
        writer.put(Int32(state.optimizer.scalars.count))
        for scalar in state.optimizer.scalars { writer.put(scalar.bitPattern) }
        writer.put(Int32(state.tensors.count))
        for (tensor, exponent) in zip(state.tensors, state.exponents) {
            writer.put(exponent)
            writer.put(Int32(tensor.shape.count))
            for extent in tensor.shape { writer.put(Int64(extent)) }
        }
        writer.put(state.course)
        for array in [state.parameters, state.optimizer.slots, state.best] {
            writer.put(Int64(array.count))
            for value in array { writer.put(value.bitPattern) }
        }
        return writer.bytes
    }

    /// Reads a state of this model and this optimiser. Nothing is allocated beyond the size of the bytes.
    ///
    /// - Parameter keepsBest: whether the parameters of the best epoch are kept; a state without them begins with its
    ///   own.
    /// - Throws: `InputError` where the bytes are not a checkpoint, or one of another model or optimiser.
    package static func decode(
        _ bytes: [UInt8], tensors: [TensorSpec], _ optimizer: any Optimizer, keepsBest: Bool = false
    ) throws(InputError) -> TrainingState {
        var state = try decode(whole: bytes, tensors: tensors, optimizer, keepsBest: keepsBest)
        if keepsBest, state.best.isEmpty { state.best = state.parameters }
        return state
    }

    private static func decode(
        whole bytes: [UInt8], tensors: [TensorSpec], _ optimizer: any Optimizer, keepsBest: Bool
    ) throws(InputError) -> TrainingState {
        var reader = ByteReader(bytes.span.bytes)
        let found = try reader.u32()
        guard found == magic || found == magicOfFormat1 else {
            throw InputError(
                .badMagic, "these bytes are not a checkpoint", expected: String(magic, radix: 16),
                found: String(found, radix: 16))
        }
        if found == magicOfFormat1 { return try decodeFormat1(&reader, tensors: tensors, optimizer) }
        let format = try reader.u32()
        guard format >= 2 else {
            throw InputError(
                .corrupt, "the format of a checkpoint is invalid", expected: "2 to \(currentFormat)",
                found: "\(format)")
        }
        guard format <= currentFormat else {
            throw InputError(
                .unsupported, "the checkpoint was written by a newer version of Beamline",
                expected: "a format up to \(currentFormat)", found: "\(format)")
        }
        let step = try step(&reader)
        let epochLoss = try epochLoss(&reader, format: format)
        let epochWeight = format < 3 ? 0 : try reader.i64()
        let name = String(decoding: try reader.bytes(try reader.count32(itemSize: 1)), as: UTF8.self)
        try expect(optimizer.name, name, "optimiser")
        try expect(optimizer.initialScalars.count, Int(try reader.i32()), "numbers of the optimiser")
        var scalars: [Double] = []
        for _ in optimizer.initialScalars { scalars.append(try scalar(&reader)) }
        try expect(tensors.count, Int(try reader.i32()), "tensors")
        var exponents: [Int32] = []
        for tensor in tensors {
            exponents.append(try exponent(&reader))
            try expect(tensor.shape.count, Int(try reader.i32()), "axes of \(tensor.name)")
            for extent in tensor.shape { try expect(extent, Int(try reader.i64()), "extent of \(tensor.name)") }
        }
        let course = format < 4 ? TrainingCourse() : try course(&reader)
        let count = tensors.parameterCount
        let parameters = try floats(&reader, count: count, length: Int(try reader.i64()), "parameters")
        let slots = try floats(
            &reader, count: count * optimizer.slots.count, length: Int(try reader.i64()),
            "values of \(optimizer.slots.joined(separator: " and "))")
        var best: [Float] = []
        if format >= 4 {
            best = try floats(
                &reader, count: keepsBest ? count : 0, length: Int(try reader.i64()), "parameters of the best epoch")
        }
        try expect(0, reader.remaining, "bytes after the end")
        return TrainingState(
            tensors: tensors, optimizerName: optimizer.name, step: step, parameters: parameters,
            optimizer: OptimizerState(slots: slots, scalars: scalars), exponents: exponents, epochLoss: epochLoss,
            epochWeight: epochWeight, course: course, best: best)
    }

    private static func decodeFormat1(
        _ reader: inout ByteReader, tensors: [TensorSpec], _ optimizer: any Optimizer
    ) throws(InputError) -> TrainingState {
        let step = try step(&reader)
        let scalars = [try scalar(&reader), try scalar(&reader)]
        try expect(tensors.count, Int(try reader.i32()), "tensors")
        var exponents: [Int32] = []
        for _ in tensors { exponents.append(try exponent(&reader)) }
        let count = tensors.parameterCount
        let parameters = try floats(&reader, count: count, length: Int(try reader.i32()), "parameters")
        // An optimiser without moments left both arrays empty.
        let moments = optimizer.slots.isEmpty ? 0 : count
        var slots = try floats(&reader, count: moments, length: Int(try reader.i32()), "values of the first moment")
        slots += try floats(&reader, count: moments, length: Int(try reader.i32()), "values of the second moment")
        try expect(0, reader.remaining, "bytes after the end")
        guard slots.count == count * optimizer.slots.count, optimizer.initialScalars.count <= scalars.count else {
            throw InputError(
                .unsupported, "a checkpoint of format 1 holds no state of this optimiser", found: optimizer.name)
        }
        return TrainingState(
            tensors: tensors, optimizerName: optimizer.name, step: step, parameters: parameters,
            optimizer: OptimizerState(slots: slots, scalars: Array(scalars.prefix(optimizer.initialScalars.count))),
            exponents: exponents)
    }

    // MARK: Parts

    private struct Writer {
        var bytes: [UInt8] = []

        mutating func put<T: FixedWidthInteger>(_ value: T) {
            withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
        }

        mutating func put(_ course: TrainingCourse) {
            put(Int64(course.epochs))
            put(Int64(course.bestEpoch))
            put(course.factor.bitPattern)
            for best in [course.plateau, course.stopping] {
                // An absent value is NaN, which no metric is.
                put((best.value ?? .nan).bitPattern)
                put(Int64(best.epochsSince))
            }
        }
    }

    private static func step(_ reader: inout ByteReader) throws(InputError) -> Int64 {
        let step = try reader.i64()
        guard step >= 0, step < 1 << 53 else {
            throw InputError(.corrupt, "the step of a checkpoint is invalid", expected: "0 to 2^53", found: "\(step)")
        }
        return step
    }

    private static func epochLoss(_ reader: inout ByteReader, format: UInt32) throws(InputError) -> Double {
        switch format {
        case ..<3: return 0
        case 3, 4: return Double(try reader.i64()) / Loss.fixedPointUnit
        default: return try scalar(&reader)
        }
    }

    private static func course(_ reader: inout ByteReader) throws(InputError) -> TrainingCourse {
        func number(_ reader: inout ByteReader) throws(InputError) -> Int {
            let number = try reader.i64()
            guard (0...1 << 32).contains(number) else {
                throw InputError(
                    .corrupt, "a number of epochs in a checkpoint is invalid", expected: "0 to 2^32",
                    found: "\(number)")
            }
            return Int(number)
        }
        func best(_ reader: inout ByteReader) throws(InputError) -> TrainingCourse.Best {
            let value = try reader.f64()
            return TrainingCourse.Best(value: value.isFinite ? value : nil, epochsSince: try number(&reader))
        }
        var course = TrainingCourse()
        course.epochs = try number(&reader)
        course.bestEpoch = try number(&reader)
        course.factor = try scalar(&reader)
        course.plateau = try best(&reader)
        course.stopping = try best(&reader)
        return course
    }

    private static func scalar(_ reader: inout ByteReader) throws(InputError) -> Double {
        let scalar = try reader.f64()
        guard scalar.isFinite else {
            throw InputError(.corrupt, "a number in a checkpoint is not finite", found: "\(scalar)")
        }
        return scalar
    }

    private static func exponent(_ reader: inout ByteReader) throws(InputError) -> Int32 {
        let exponent = try reader.i32()
        guard TrainingState.exponentRange.contains(exponent) else {
            throw InputError(
                .corrupt, "a fixed-point exponent of a checkpoint is invalid",
                expected: "\(TrainingState.exponentRange)", found: "\(exponent)")
        }
        return exponent
    }

    /// Reads an array of which both its own length and the model's must agree, before anything is allocated for it.
    private static func floats(
        _ reader: inout ByteReader, count: Int, length: Int, _ what: String
    ) throws(InputError) -> [Float] {
        try expect(count, length, what)
        guard count <= reader.remaining / MemoryLayout<Float>.size else {
            throw InputError(
                .truncated, "the checkpoint ends too early", expected: "\(count) \(what)",
                found: "\(reader.remaining) bytes")
        }
        var array: [Float] = []
        array.reserveCapacity(count)
        for _ in 0..<count { array.append(try reader.f32()) }
        return array
    }

    private static func expect<T: Equatable>(_ expected: T, _ found: T, _ what: String) throws(InputError) {
        guard expected == found else {
            throw InputError(
                .corrupt, "a checkpoint does not fit its model: \(what)", expected: "\(expected)", found: "\(found)")
        }
    }
}
