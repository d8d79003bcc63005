import Bytes
import Models
import Testing

@Suite struct ModelBundleTests {
    private let bundle = ModelBundle([
        .init(.model, [1, 2, 3]), .init(.schema, .init(repeating: 7, count: 512)), .init(.metrics, []),
    ])

    @Test func whatIsWrittenIsRead() throws {
        let bytes = bundle.encode()
        #expect(bytes.count % 512 == 0)
        let found = try ModelBundle.decode(bytes)
        #expect(found == bundle)
        #expect(try found.content(.model) == [1, 2, 3])
        #expect(throws: InputError.self) { try found.content(.lineage) }
    }

    @Test func damagedArchivesAreErrors() throws {
        let bytes = bundle.encode()
        // Cut in the middle of a document; a header is checked against what follows it.
        for count in [0, 1, 511, 512, 700, 1024, 1100] {
            #expect(throws: InputError.self) { try ModelBundle.decode(Array(bytes.prefix(count))) }
        }
        for size in ["77777777777", "-0000000001", "zzzzzzzzzzz", ""] {
            var wrong = bytes
            wrong.replaceSubrange(124..<135, with: Array(size.utf8) + .init(repeating: 0, count: 11 - size.utf8.count))
            #expect(throws: InputError.self) { try ModelBundle.decode(wrong) }
        }
        var magic = bytes
        magic[257] = 0
        #expect(throws: InputError.self) { try ModelBundle.decode(magic) }
        // Two documents of one name, one of which would be served and the other checked.
        let twice = ModelBundle([.init(.model, [1]), .init(.model, [2]), .init(.schema, [])]).encode()
        #expect(throws: InputError.self) { try ModelBundle.decode(twice) }
        #expect(throws: InputError.self) { try ModelBundle.decode(ModelBundle([.init(.model, [1])]).encode()) }
    }

    /// An archive is read only as it was written: not cut, not with anything after it, not with another header.
    @Test func onlyWhatIsWrittenIsRead() {
        let bytes = bundle.encode()
        for count in stride(from: 0, to: bytes.count, by: 64) {
            #expect(throws: InputError.self) { try ModelBundle.decode(Array(bytes.prefix(count))) }
        }
        for added in [1, 512, 1024] {
            #expect(throws: InputError.self) { try ModelBundle.decode(bytes + [UInt8](repeating: 0, count: added)) }
        }
        // Documents of 3, 512 and 0 bytes: headers, what pads the first, and the zeroes at the end.
        for index in Array(0..<512) + Array(515..<1536) + Array(2048..<bytes.count) {
            var wrong = bytes
            wrong[index] ^= 0x15
            #expect(throws: InputError.self, "byte \(index)") { try ModelBundle.decode(wrong) }
        }
    }

    @Test func flippedBytesAreSafe() {
        let bytes = bundle.encode()
        for index in bytes.indices {
            var wrong = bytes
            wrong[index] ^= 0x15
            if let found = try? ModelBundle.decode(wrong) {
                #expect(found.documents.reduce(0) { $0 + $1.bytes.count } <= bytes.count)
            }
        }
    }
}
