import Foundation
import Testing
import Wire

/// Blobs in parts: all bytes once, in order; digest and length in the first.
@Suite struct BlobPartTests {
    @Test(arguments: [(0, 1), (1, 1), (1 << 20, 1), ((1 << 20) + 1, 2), (3 << 20, 3)])
    func aBlobIsCutIntoPartsThatMakeItAgain(_ size: Int, _ count: Int) {
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        let parts = WireCoding.parts(bytes, digest: "ab")
        #expect(parts.count == count)
        #expect(parts.flatMap { [UInt8]($0.data) } == bytes)
        #expect(parts[0].digest == "ab" && parts[0].length == UInt64(size))
        #expect(parts.dropFirst().allSatisfy { $0.digest.isEmpty && $0.length == 0 })
        #expect(parts.allSatisfy { $0.data.count <= WireCoding.partSize })
    }
}
