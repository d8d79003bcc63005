import Bytes
import CCodecs
import Columns
import Storage

/// Where an RNTuple's header and footer lie: the object that its key holds.
struct NTupleAnchor {
    struct Link {
        var range: ByteRange
        /// Bytes when inflated.
        var length: Int
    }

    let header: Link
    let footer: Link

    init(_ bytes: [UInt8]) throws(InputError) {
        var reader = ByteReader(bytes.span.bytes)
        _ = try VersionHeader(&reader)
        let start = reader.position
        let epoch = try reader.u16()
        try reader.skip(6)
        guard epoch == 1 else {
            throw InputError(.unsupported, "an RNTuple of another format epoch", expected: "1", found: "\(epoch)")
        }
        func link(_ reader: inout ByteReader) throws(InputError) -> Link {
            let (offset, stored, length) = (try reader.u64(), try reader.u64(), try reader.u64())
            guard offset <= 1 << 60, stored <= 1 << 31, length <= 1 << 31 else {
                throw InputError(
                    .badLength, "an envelope's location is not plausible",
                    found: "\(stored) bytes at \(offset), \(length) inflated")
            }
            return Link(range: ByteRange(offset: Int(offset), length: Int(stored)), length: Int(length))
        }
        header = try link(&reader)
        footer = try link(&reader)
        let largest = try reader.u64()
        guard largest == 0 || header.range.length <= largest && footer.range.length <= largest else {
            throw InputError(.unsupported, "an RNTuple whose envelopes are stored in parts is not read")
        }
        guard reader.remaining >= 8 else { return }
        let end = reader.position
        let found = bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress! + start, end - start) }
        let expected = try reader.u64()
        guard expected == found else {
            throw InputError(
                .badChecksum, "the RNTuple's anchor has a wrong checksum", expected: String(expected, radix: 16),
                found: String(found, radix: 16))
        }
    }
}
