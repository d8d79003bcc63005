import Bytes

/// What follows a basket's key.
struct BasketHeader {
    let version: Int
    let entries: Int
    let last: Int
    let flag: Int
    /// Offsets stand behind the data (or are streamed before them, when embedded).
    let hasOffsets: Bool

    init(_ reader: inout ByteReader) throws(InputError) {
        version = Int(try reader.u16())
        try reader.skip(4)
        // A negative size of the offsets means one byte more.
        if try reader.i32() < 0 { try reader.skip(1) }
        entries = Int(try reader.i32())
        last = Int(try reader.i32())
        let raw = Int(try reader.u8())
        // 80 is added where the offsets are left out and follow from the counter.
        flag = raw >= 80 ? raw - 80 : raw
        hasOffsets = raw < 80 && flag != 0 && flag % 10 != 2
        guard entries >= 0, last >= 0 else {
            throw InputError(
                .corrupt, "a basket's header is invalid", offset: reader.position,
                expected: "counts of at least 0", found: "\(entries) entries, last \(last)")
        }
    }
}
