import Bytes
import RootFormat
import Storage

/// The identity of a file's content: the file's UUID, or where its writer gave none, a hash of its size, head and
/// tail.
enum FileIdentity {
    static func of(_ source: any RangeSource) throws(InputError) -> String {
        try of(source, uuid: try RootFile.uuid(source))
    }

    static func of(_ source: any RangeSource, uuid: [UInt8]) throws(InputError) -> String {
        if uuid.contains(where: { $0 != 0 }) { return hexadecimal(uuid) }
        let size = source.size
        let length = min(size, 64 << 10)
        let ends = try source.read([
            ByteRange(offset: 0, length: length), ByteRange(offset: size - length, length: length),
        ])
        return "sha256:" + Digest.sha256(Array(String(size).utf8), ends.bytes(0), ends.bytes(1))
    }
}
