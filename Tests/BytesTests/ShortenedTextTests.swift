import Bytes
import Testing

/// Texts from outside in messages for people.
@Suite struct ShortenedTextTests {
    @Test func aTextWithinTheLimitIsAsItWas() {
        for text in ["", "a", String(repeating: "x", count: 100)] { #expect(text.shortened(to: 100) == text) }
    }

    @Test(arguments: [101, 1000, 1 << 20]) func aLongerTextNamesWhatIsLeftOut(_ length: Int) throws {
        let short = String(repeating: "x", count: length).shortened(to: 100)
        #expect(short.utf8.count <= 100 && short.hasPrefix("xxxx") && short.hasSuffix(" bytes more)"))
        let left = try #require(Int(short.drop { $0 != "(" }.dropFirst().prefix { $0.isNumber }))
        #expect(short.prefix { $0 == "x" }.count + left == length)
    }

    /// A character with any number of combining marks is one of Swift's: bytes are what counts.
    @Test func noScalarIsCut() {
        let marks = "e" + String(repeating: "\u{301}", count: 10_000)
        for limit in 60..<64 {
            let short = marks.shortened(to: limit)
            #expect(
                short.utf8.count <= limit && !short.unicodeScalars.contains("\u{FFFD}")
                    && short.utf8.first == UInt8(ascii: "e"))
            #expect(short.hasSuffix(" bytes more)"))
        }
    }

    @Test func anErrorsDescriptionIsBounded() {
        let long = String(repeating: "n", count: 1 << 20)
        let error = InputError(
            .corrupt, long, file: long, object: long, offset: 1, expected: long, found: long, hint: long)
        #expect(error.description.utf8.count <= InputError.maxDescription)
        #expect(error.description.contains("; expected n") && error.description.contains("; found n"))
        // The error itself keeps what it was made of.
        #expect(error.found == long)
    }
}
