/// A cursor over bytes that may be hostile: every read is checked against what remains before it happens.
///
/// Numbers are big-endian, as ROOT writes them. Positions are byte offsets from the start of the span.
package struct ByteReader: ~Escapable {
    private let span: RawSpan
    package private(set) var position: Int

    @_lifetime(copy span)
    package init(_ span: RawSpan) {
        self.span = span
        self.position = 0
    }

    /// Bytes of the span.
    package var count: Int { span.byteCount }
    /// Bytes after the cursor.
    package var remaining: Int { span.byteCount - position }

    /// Moves the cursor.
    /// - Parameter offset: from the start of the span, up to its end.
    package mutating func seek(to offset: Int) throws(InputError) {
        guard offset >= 0, offset <= span.byteCount else {
            throw InputError(
                .badLength, "a length points outside its record", offset: position,
                expected: "an offset up to \(span.byteCount)", found: "\(offset)")
        }
        position = offset
    }

    /// Passes over `length` bytes.
    package mutating func skip(_ length: Int) throws(InputError) {
        try require(length)
        position += length
    }

    private func require(_ length: Int) throws(InputError) {
        guard length >= 0, length <= span.byteCount - position else {
            throw InputError(
                .truncated, "the record ends too early", offset: position,
                expected: "\(length) more bytes", found: "\(span.byteCount - position)")
        }
    }

    private mutating func load<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type) throws(InputError) -> T {
        try require(MemoryLayout<T>.size)
        let value = span.unsafeLoadUnaligned(fromByteOffset: position, as: T.self)
        position += MemoryLayout<T>.size
        return T(bigEndian: value)
    }

    /// A little-endian number, as RNTuple's envelopes have them.
    package mutating func little<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type) throws(InputError) -> T {
        try load(T.self).byteSwapped
    }

    /// The next byte.
    package mutating func u8() throws(InputError) -> UInt8 { try load(UInt8.self) }
    /// The next 2 bytes as an unsigned number.
    package mutating func u16() throws(InputError) -> UInt16 { try load(UInt16.self) }
    /// The next 4 bytes as an unsigned number.
    package mutating func u32() throws(InputError) -> UInt32 { try load(UInt32.self) }
    /// The next 8 bytes as an unsigned number.
    package mutating func u64() throws(InputError) -> UInt64 { try load(UInt64.self) }
    /// The next byte as a signed number.
    package mutating func i8() throws(InputError) -> Int8 { try load(Int8.self) }
    /// The next 2 bytes as a signed number.
    package mutating func i16() throws(InputError) -> Int16 { try load(Int16.self) }
    /// The next 4 bytes as a signed number.
    package mutating func i32() throws(InputError) -> Int32 { try load(Int32.self) }
    /// The next 8 bytes as a signed number.
    package mutating func i64() throws(InputError) -> Int64 { try load(Int64.self) }
    /// The next 4 bytes as a real number.
    package mutating func f32() throws(InputError) -> Float { Float(bitPattern: try load(UInt32.self)) }
    /// The next 8 bytes as a real number.
    package mutating func f64() throws(InputError) -> Double { Double(bitPattern: try load(UInt64.self)) }

    /// A 32-bit count of items that each take at least `itemSize` bytes: checked against what remains, so that it can
    /// be allocated for.
    package mutating func count32(itemSize: Int) throws(InputError) -> Int {
        let at = position
        let value = Int(try i32())
        guard value >= 0, value <= remaining / max(1, itemSize) else {
            throw InputError(
                .badLength, "a count is larger than its record", offset: at,
                expected: "0 to \(remaining / max(1, itemSize))", found: "\(value)")
        }
        return value
    }

    /// A copy of the next `length` bytes.
    package mutating func bytes(_ length: Int) throws(InputError) -> [UInt8] {
        try require(length)
        let start = position
        position += length
        return span.withUnsafeBytes { [UInt8]($0[start..<start + length]) }
    }

    /// ROOT's TString: one length byte, or 255 and a 32-bit length, then the characters.
    package mutating func rootString() throws(InputError) -> String {
        var length = Int(try u8())
        if length == 255 { length = try count32(itemSize: 1) }
        return String(decoding: try bytes(length), as: UTF8.self)
    }

    /// Passes over a TString.
    package mutating func skipRootString() throws(InputError) {
        let length = Int(try u8())
        try skip(length == 255 ? try count32(itemSize: 1) : length)
    }

    /// A string that ends with a zero byte.
    package mutating func zeroTerminatedString() throws(InputError) -> String {
        let start = position
        var length = 0
        while try u8() != 0 { length += 1 }
        try seek(to: start)
        let text = String(decoding: try bytes(length), as: UTF8.self)
        try skip(1)
        return text
    }
}
