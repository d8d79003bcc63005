import Bytes
import Testing

@Suite struct DigestTests {
    /// The examples of FIPS 180-2.
    @Test func sha256IsTheStandards() {
        #expect(Digest.sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(Digest.sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            Digest.sha256(Array("a".utf8), [], Array("bc".utf8))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    /// The test vectors of the hash's authors.
    @Test(
        arguments: [
            ("", 0xCBF2_9CE4_8422_2325), ("a", 0xAF63_DC4C_8601_EC8C), ("foobar", 0x8594_4171_F739_67E8),
        ] as [(String, UInt64)])
    func fnv1aIsItsAuthors(_ text: String, _ expected: UInt64) {
        var hash = FNV1a()
        hash.combine(bytes: text.utf8)
        #expect(hash.value == expected)
    }
}
