import Bytes

/// A body of several ranges: `multipart/byteranges` (RFC 9110, section 14.6).
struct Multipart {
    private var parts: [(content: RequestRange, offset: Int)] = []
    private typealias RequestRange = RangeRequest.ContentRange

    init(_ bytes: UnsafeRawBufferPointer, boundary: String) throws(InputError) {
        let delimiter = Array("--\(boundary)".utf8)
        var offset = 0
        while let start = Self.find(delimiter, bytes, from: offset) {
            offset = start + delimiter.count
            if Self.has(Array("--".utf8), bytes, at: offset) { return }
            guard let end = Self.find(Array("\r\n\r\n".utf8), bytes, from: offset, within: 4096) else { break }
            let head = String(decoding: bytes[offset..<end], as: UTF8.self)
            let line = head.split(whereSeparator: \.isNewline).first { $0.lowercased().hasPrefix("content-range:") }
            guard let line, let content = RequestRange(line.dropFirst("content-range:".count).drop { $0 == " " }) else {
                break
            }
            offset = end + 4
            guard content.range.length <= bytes.count - offset else { break }
            parts.append((content, offset))
            offset += content.range.length
        }
        throw InputError(
            .faulty, "the site's answer in parts is not whole", offset: offset,
            found: "\(parts.count) parts in \(bytes.count) bytes")
    }

    /// Where each range asked for begins: servers may join ranges, and give them in any order.
    func offsets(_ request: RangeRequest) throws(InputError) -> [Int] {
        if let total = parts.first?.content.total { try request.checkSame(total, nil) }
        var offsets: [Int] = []
        for range in request.ranges {
            guard
                let part = parts.first(where: {
                    $0.content.range.offset <= range.offset && range.end <= $0.content.range.end
                })
            else {
                throw InputError(
                    .faulty, "the site left out a range that was asked for", offset: range.offset,
                    expected: "\(range.length) bytes")
            }
            offsets.append(part.offset + range.offset - part.content.range.offset)
        }
        return offsets
    }

    private static func has(_ text: [UInt8], _ bytes: UnsafeRawBufferPointer, at offset: Int) -> Bool {
        offset + text.count <= bytes.count && bytes[offset..<offset + text.count].elementsEqual(text)
    }

    private static func find(
        _ text: [UInt8], _ bytes: UnsafeRawBufferPointer, from start: Int, within limit: Int = 4096
    ) -> Int? {
        var offset = start
        while offset + text.count <= bytes.count, offset - start <= limit {
            if has(text, bytes, at: offset) { return offset }
            offset += 1
        }
        return nil
    }
}
