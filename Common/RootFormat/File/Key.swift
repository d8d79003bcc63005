import Bytes
import Storage

/// A TKey: where a record lies and what it holds.
package struct Key: Sendable {
    package let offset: Int
    let totalLength: Int
    package let objectLength: Int
    let headerLength: Int
    package let cycle: Int
    package let className: String
    package let name: String
    package let title: String

    /// Stored bytes after the key's header.
    var payload: ByteRange { ByteRange(offset: offset + headerLength, length: storedLength) }
    package var storedLength: Int { max(0, totalLength - headerLength) }

    init(_ window: inout FileWindow, at offset: Int) throws(InputError) {
        let head = try window.bytes(ByteRange(offset: offset, length: min(1024, max(0, window.source.size - offset))))
        var reader = ByteReader(head.span.bytes)
        try self.init(&reader, at: offset)
    }

    /// - Parameter at: the offset to keep of a free-standing key, which does not contain it.
    init(_ reader: inout ByteReader, at position: Int? = nil) throws(InputError) {
        totalLength = Int(try reader.i32())
        let version = Int(try reader.i16())
        objectLength = Int(try reader.i32())
        try reader.skip(4)
        headerLength = Int(try reader.i16())
        cycle = Int(try reader.i16())
        let seek = version > 1000 ? Int(try reader.i64()) : Int(try reader.i32())
        try reader.skip(version > 1000 ? 8 : 4)
        className = try reader.rootString()
        name = try reader.rootString()
        title = try reader.rootString()
        offset = position ?? seek
        // The key of a basket inside a TTree's record has no length of its own.
        guard headerLength > 0, totalLength == 0 || totalLength >= headerLength, objectLength >= 0,
            (0...1 << 60).contains(offset)
        else {
            throw InputError(
                .corrupt, "a key's lengths contradict each other", object: name, offset: offset,
                found: "\(totalLength) bytes, header \(headerLength), object \(objectLength)")
        }
    }
}
