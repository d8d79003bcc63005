private import Crypto

/// SHA-256 of content, as it names blobs, proves what arrived, and identifies files.
package enum Digest {
    /// The SHA-256 of the parts, one after another, as 64 lowercase hexadecimal digits.
    package static func sha256(_ parts: [UInt8]...) -> String {
        var hash = SHA256()
        for part in parts { part.withUnsafeBytes { hash.update(bufferPointer: $0) } }
        return hexadecimal(Array(hash.finalize()))
    }

    /// The SHA-256 of a text's UTF-8, as 64 lowercase hexadecimal digits.
    package static func sha256(_ text: String) -> String { sha256(Array(text.utf8)) }
}
