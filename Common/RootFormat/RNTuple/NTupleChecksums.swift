import CCodecs
import Storage

/// Where an uncompressed RNTuple's checksums are, so that a damaged one can be made to pass them: for the fuzzer.
package enum NTupleChecksums {
    /// The anchors' and the envelopes' bytes, checksums included.
    package static func ranges(in bytes: [UInt8]) -> (anchors: [Range<Int>], envelopes: [Range<Int>]) {
        var anchors: [Range<Int>] = []
        var envelopes: [Range<Int>] = []
        guard let file = try? RootFile(MemorySource(bytes)) else { return ([], []) }
        for entry in file.allTreeKeys where entry.key.className == "ROOT::RNTuple" {
            guard entry.key.objectLength == entry.key.storedLength, let payload = try? file.payload(entry.key),
                let anchor = try? NTupleAnchor(payload)
            else { continue }
            // Behind the version: four short and seven long numbers, then the checksum.
            anchors.append(entry.key.payload.offset + 6..<entry.key.payload.offset + 6 + 72)
            for link in [anchor.header, anchor.footer]
            where link.length == link.range.length && link.range.end <= bytes.count && link.length >= 16 {
                envelopes.append(link.range.offset..<link.range.end)
            }
            for link in (try? file.pageLists(anchor)) ?? []
            where link.length == link.range.length && link.range.end <= bytes.count && link.length >= 16 {
                envelopes.append(link.range.offset..<link.range.end)
            }
        }
        return (anchors, envelopes)
    }

    /// Rewrites the checksums of anchors and envelopes after their bytes were changed.
    package static func repair(_ bytes: inout [UInt8], anchors: [Range<Int>], envelopes: [Range<Int>]) {
        for (range, isLittle) in anchors.map({ ($0, false) }) + envelopes.map({ ($0, true) })
        where range.upperBound <= bytes.count {
            let end = range.upperBound - 8
            let hash = bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress! + range.lowerBound, end - range.lowerBound) }
            for index in 0..<8 {
                bytes[end + index] = UInt8(truncatingIfNeeded: hash >> UInt64(8 * (isLittle ? index : 7 - index)))
            }
        }
    }
}
