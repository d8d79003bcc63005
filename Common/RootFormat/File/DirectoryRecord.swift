import Bytes
import Storage

/// The record that points to a directory's keys.
struct DirectoryRecord {
    let keysOffset: Int
    let keysLength: Int

    init(_ window: inout FileWindow, at offset: Int) throws(InputError) {
        let bytes = try window.bytes(ByteRange(offset: offset, length: min(64, max(0, window.source.size - offset))))
        var reader = ByteReader(bytes.span.bytes)
        let version = Int(try reader.i16())
        try reader.skip(8)
        keysLength = Int(try reader.i32())
        try reader.skip(4)
        let large = version > 1000
        try reader.skip(large ? 16 : 8)
        keysOffset = large ? Int(try reader.i64()) : Int(try reader.i32())
    }

    func keys(_ window: inout FileWindow) throws(InputError) -> [Key] {
        let bytes = try window.bytes(ByteRange(offset: keysOffset, length: keysLength))
        var reader = ByteReader(bytes.span.bytes)
        _ = try Key(&reader)
        let count = try reader.count32(itemSize: 26)
        var keys: [Key] = []
        for _ in 0..<count { keys.append(try Key(&reader)) }
        return keys
    }
}
