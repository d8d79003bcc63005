import Bytes

/// A finished model as one file: an uncompressed tar of `model.onnx`, `schema.json`, `specs.json`, `metrics.json`, `lineage.json`. The same
/// content gives the same bytes: no times, no owners.
package enum Bundle {
    package static let model = "model.onnx"
    package static let schema = "schema.json"
    package static let specs = "specs.json"
    package static let metrics = "metrics.json"
    package static let lineage = "lineage.json"

    package static func encode(_ files: [(name: String, bytes: [UInt8])]) -> [UInt8] {
        var archive: [UInt8] = []
        for (name, bytes) in files {
            archive += header(name, size: bytes.count)
            archive += bytes
            archive += [UInt8](repeating: 0, count: (512 - bytes.count % 512) % 512)
        }
        return archive + [UInt8](repeating: 0, count: 1024)
    }

    /// The POSIX ustar header.
    private static func header(_ name: String, size: Int) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at place: Int) {
            block.replaceSubrange(place..<place + text.utf8.count, with: text.utf8)
        }
        func octal(_ value: Int, _ digits: Int) -> String {
            let text = String(value, radix: 8)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        put(name, at: 0)
        put(octal(0o644, 7), at: 100)
        put(octal(0, 7), at: 108)
        put(octal(0, 7), at: 116)
        put(octal(size, 11), at: 124)
        put(octal(0, 11), at: 136)
        put("        ", at: 148)
        put("0", at: 156)
        put("ustar", at: 257)
        put("00", at: 263)
        put(octal(block.reduce(0) { $0 + Int($1) }, 6), at: 148)
        block[154] = 0
        return block
    }

    /// - Throws: `InputError` where this is no such archive.
    package static func decode(_ bytes: [UInt8]) throws(InputError) -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        var place = 0
        while place + 512 <= bytes.count, bytes[place] != 0 {
            let header = bytes[place..<place + 512]
            func text(_ offset: Int, _ length: Int) -> String {
                String(
                    decoding: header[(place + offset)..<(place + offset + length)].prefix { $0 != 0 && $0 != 0x20 },
                    as: UTF8.self)
            }
            guard text(257, 5) == "ustar", let size = Int(text(124, 11), radix: 8), size >= 0,
                size <= bytes.count - place - 512
            else {
                throw InputError(.corrupt, "this is no bundle: a tar header is wrong", offset: place)
            }
            files[text(0, 100)] = Array(bytes[place + 512..<place + 512 + size])
            place += 512 + (size + 511) / 512 * 512
        }
        guard files[model] != nil, files[schema] != nil else {
            throw InputError(
                .missing, "the bundle is not complete", expected: "\(model) and \(schema)",
                found: files.keys.sorted().joined(separator: ", "))
        }
        return files
    }
}
