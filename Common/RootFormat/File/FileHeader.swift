import Bytes
import Storage

/// The first bytes of a ROOT file.
package struct FileHeader: Sendable {
    package let version: Int
    let begin: Int
    let nameLength: Int
    let streamersOffset: Int
    let streamersLength: Int
    /// 100 x algorithm + level, as the writer set it for new records.
    package let compression: Int
    /// 16 bytes; all zero where the writer gave none.
    package let uuid: [UInt8]

    init(_ window: inout FileWindow) throws(InputError) {
        guard window.source.size >= 64 else {
            throw InputError(
                .badMagic, "this is no ROOT file", expected: "at least 64 bytes", found: "\(window.source.size)")
        }
        let bytes = try window.bytes(ByteRange(offset: 0, length: min(100, window.source.size)))
        var reader = ByteReader(bytes.span.bytes)
        let magic = try reader.bytes(4)
        guard magic == Array("root".utf8) else {
            throw InputError(
                .badMagic, "this is no ROOT file", offset: 0, expected: "the letters \"root\"",
                found: String(decoding: magic, as: UTF8.self).debugDescription)
        }
        version = Int(try reader.i32())
        begin = Int(try reader.i32())
        guard (48...4096).contains(begin) else {
            throw InputError(
                .badMagic, "this is no ROOT file", offset: 8, expected: "a first record at byte 64 or 100",
                found: "\(begin)")
        }
        let large = version >= 1_000_000
        let end = large ? Int(try reader.i64()) : Int(try reader.i32())
        _ = large ? Int(try reader.i64()) : Int(try reader.i32())
        try reader.skip(8)
        nameLength = Int(try reader.i32())
        try reader.skip(1)
        compression = Int(try reader.i32())
        streamersOffset = large ? Int(try reader.i64()) : Int(try reader.i32())
        streamersLength = Int(try reader.i32())
        if reader.remaining >= 18 {
            try reader.skip(2)
            uuid = try reader.bytes(16)
        } else {
            uuid = [UInt8](repeating: 0, count: 16)
        }
        guard end <= window.source.size else {
            throw InputError(
                .truncated, "the file is cut short", expected: "\(end) bytes", found: "\(window.source.size)",
                hint: "It was probably not copied whole: fetch it again.")
        }
    }
}
