package import Bytes
import Cluster

/// A text file with a URL, path or pattern a line; `#` begins a comment.
package enum ListFile {
    /// Hands over the first word of each line that has one, with the line's number from 1.
    /// - Parameters:
    ///   - bytes: UTF-8, with or without a byte order mark.
    ///   - url: the file, for errors.
    /// - Throws: what `body` throws; `InputError` with the line that is too long or has a control character.
    package static func forEachName(
        _ bytes: [UInt8], url: String, _ body: (String, Int) throws(InputError) -> Void
    ) throws(InputError) {
        var start = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        var number = 0
        while start < bytes.count {
            number += 1
            let end = bytes[start...].firstIndex { $0 == 0x0A || $0 == 0x0D } ?? bytes.count
            let line = bytes[start..<end]
            start = end + 1
            // A line may end with both.
            if end < bytes.count, bytes[end] == 0x0D, start < bytes.count, bytes[start] == 0x0A { start += 1 }
            let name = line.drop { isBlank($0) }.prefix { !isBlank($0) }
            if name.isEmpty || name.first == UInt8(ascii: "#") { continue }
            guard name.count <= ListingLimits.nameBytes else {
                throw InputError(
                    .limit, "a line of the list is too long", file: url, object: "line \(number)",
                    expected: "at most \(ListingLimits.nameBytes) bytes", found: "\(name.count)",
                    hint: "A list file is text, with one URL, path or pattern a line.")
            }
            let text = String(decoding: name, as: UTF8.self)
            guard !hasControlCharacter(text) else {
                throw InputError(
                    .input, "a line of the list has a control character", file: url, object: "line \(number)",
                    found: withoutControlCharacters(text).shortened(to: 100),
                    hint: "A list file is text, with one URL, path or pattern a line.")
            }
            try body(text, number)
        }
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}
