/// SplitMix64: every number starts a stream of its own.
struct Mutator: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }

    private mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(max(1, limit))) }

    /// A copy of the seed with one to six damages.
    mutating func damage(_ seed: Seed) -> [UInt8] {
        var bytes = seed.bytes
        switch seed.form {
        case .binary:
            let focus: Range<Int>? = !seed.focus.isEmpty && next() & 1 == 0 ? seed.focus[below(seed.focus.count)] : nil
            for _ in 0...below(6) { damage(&bytes, within: focus ?? 0..<bytes.count) }
        case .text:
            // Text whose syntax is broken is rejected at once: most damage keeps it.
            for _ in 0...below(6) {
                if next() & 3 == 0 { damage(&bytes, within: 0..<bytes.count) } else { damageText(&bytes) }
            }
        }
        return next() & 3 < seed.mendedQuarters ? seed.mend(bytes) : bytes
    }

    /// Replaces a number, a word or a bracket, or copies, moves or removes a line.
    private mutating func damageText(_ bytes: inout [UInt8]) {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
        switch below(8) {
        case 0, 1, 2: replaceRun(&bytes, of: { (48...57).contains($0) }, with: Self.numbers)
        case 3: replaceRun(&bytes, of: { (97...122).contains($0) || $0 == 95 }, with: Self.words)
        case 4: replaceRun(&bytes, of: { "[]{}:,\"&<>".utf8.contains($0) }, with: Self.marks)
        case 5:
            var lines = lines
            lines.insert(lines[below(lines.count)], at: below(lines.count + 1))
            bytes = Array(lines.joined(separator: [UInt8(ascii: "\n")]))
        case 6 where lines.count > 1:
            var lines = lines
            lines.remove(at: below(lines.count))
            bytes = Array(lines.joined(separator: [UInt8(ascii: "\n")]))
        default:
            let mark = Array(Self.marks[below(Self.marks.count)].utf8)
            let count = next() & 15 == 0 ? 20_000 : below(4)
            bytes.insert(contentsOf: [[UInt8]](repeating: mark, count: count).joined(), at: below(bytes.count + 1))
        }
    }

    private static let numbers = [
        "0", "-1", "1", "2147483648", "4294967296", "9223372036854775807", "9223372036854775808",
        "-9223372036854775808", "1e308", "1e999", "-0.0", "NaN", "0.5", "0x7f", "", "1_0",
        "340282366920938463463374607431768211456",
    ]
    private static let words = ["", "null", "true", "~", "\u{0}", "\u{FFFD}", "é", "name", "seed", "url", "*a", "&a x"]
    private static let marks = [
        "[", "]", "{", "}", ":", ",", "\"", "'", "\\", "\t", "- ", "<a>", "</a>", "&amp;", "!!", "|\n",
    ]

    /// Replaces one of the runs of such bytes.
    private mutating func replaceRun(_ bytes: inout [UInt8], of belongs: (UInt8) -> Bool, with choices: [String]) {
        guard !bytes.isEmpty else { return }
        let start = below(bytes.count)
        guard let first = bytes[start...].firstIndex(where: belongs) else { return }
        let end = bytes[first...].firstIndex { !belongs($0) } ?? bytes.count
        bytes.replaceSubrange(first..<end, with: Array(choices[below(choices.count)].utf8))
    }

    private mutating func damage(_ bytes: inout [UInt8], within range: Range<Int>) {
        let range = range.clamped(to: 0..<bytes.count)
        guard range.count > 16 else { return }
        let at = range.lowerBound + below(range.count - 8)
        switch below(12) {
        case 0, 1: bytes[at] ^= 1 << UInt8(below(8))
        case 2: bytes[at] = [0, 1, 0x3F, 0x40, 0x7F, 0x80, 0xFE, 0xFF][below(8)]
        case 3, 4, 5: put(interesting(bytes.count), 4, &bytes, at)
        case 6: put(interesting(bytes.count), 8, &bytes, at)
        case 7: put(interesting(bytes.count), 2, &bytes, at)
        case 8:
            let length = min(1 + below(64), range.upperBound - at)
            let from = below(bytes.count - length)
            for index in 0..<length { bytes[at + index] = bytes[from + index] }
        case 9:
            for index in 0..<min(1 + below(32), range.upperBound - at) {
                bytes[at + index] = UInt8(truncatingIfNeeded: next())
            }
        case 10:
            // A number near the one that is there.
            let value = Int(bytes[at]) << 8 | Int(bytes[at + 1])
            put(UInt64(bitPattern: Int64(value + below(9) - 4)), 2, &bytes, at)
        default:
            if next() & 15 == 0 {
                bytes.removeLast(below(bytes.count / 2))
            } else {
                bytes[at] = UInt8(truncatingIfNeeded: next())
            }
        }
    }

    private mutating func interesting(_ size: Int) -> UInt64 {
        let values: [UInt64] = [
            0, 1, 2, 255, 256, 0x3FFF_FFFF, 0x4000_0000, 0x4000_0004, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF,
            0x7FFF_FFFF_FFFF_FFFF, .max,
            UInt64(size), UInt64(size) - 1, UInt64(size / 2), 0x0100_0000, 0x00FF_FFFF,
        ]
        let value = values[below(values.count)]
        return next() & 7 == 0 ? next() : value
    }

    /// In ROOT's order mostly, in RNTuple's sometimes.
    private mutating func put(_ value: UInt64, _ width: Int, _ bytes: inout [UInt8], _ at: Int) {
        let little = next() & 1 == 0
        for index in 0..<width where at + index < bytes.count {
            bytes[at + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (little ? index : width - 1 - index)))
        }
    }
}
