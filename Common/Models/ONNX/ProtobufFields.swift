import Bytes

/// The fields of a protobuf message, by a walk over its bytes that decodes and allocates nothing.
struct ProtobufFields {
    private let bytes: [UInt8]
    private var offset: Int
    private let end: Int

    /// Walks over the message that lies in `range` of the bytes.
    init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        offset = range.lowerBound
        end = range.upperBound
    }

    /// The next field: its number, and where its content lies if that has a length; an empty range for a number.
    ///
    /// - Returns: nil after the last field.
    /// - Throws: `InputError` with `.corrupt` where the bytes are no such message.
    mutating func next() throws(InputError) -> (number: Int, content: Range<Int>)? {
        guard offset < end else { return nil }
        let key = try varint()
        let number = Int(key >> 3)
        let size: Int
        switch key & 7 {
        case 0:
            _ = try varint()
            size = 0
        case 1: size = 8
        case 2:
            guard let length = Int(exactly: try varint()) else { throw failure() }
            size = length
        case 5: size = 4
        default: throw failure()
        }
        guard size <= end - offset else { throw failure() }
        let content = offset..<offset + (key & 7 == 2 ? size : 0)
        offset += size
        return (number, content)
    }

    private mutating func varint() throws(InputError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard offset < end else { throw failure() }
            let byte = bytes[offset]
            offset += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw failure()
    }

    private func failure() -> InputError { InputError(.corrupt, "these bytes are not an ONNX model", offset: offset) }
}
