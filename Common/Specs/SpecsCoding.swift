import Bytes

/// The bytes of partial specs, little-endian: blocks, branches, then for each block and part its rows and statistics.
package enum SpecsCoding {
    private static let recordSize = 7 * 8

    /// - Parameter blocks: for each block its three parts.
    package static func encode(_ blocks: [[PartialSpecs]]) -> [UInt8] {
        var bytes: [UInt8] = []
        func put(_ value: UInt64) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
        put(UInt64(blocks.count))
        put(UInt64(blocks.first?.first?.branches.count ?? 0))
        for part in blocks.joined() {
            put(UInt64(bitPattern: part.rows))
            for branch in part.branches {
                put(UInt64(bitPattern: branch.values))
                put(UInt64(bitPattern: branch.nonfinite))
                put(UInt64(bitPattern: branch.multiplicity))
                for real in [branch.min, branch.max, branch.mean, branch.squares] { put(real.bitPattern) }
            }
        }
        return bytes
    }

    /// - Throws: `FormatError` where the length contradicts the counts.
    package static func decode(_ bytes: [UInt8]) throws(FormatError) -> [[PartialSpecs]] {
        var reader = ByteReader(bytes.span.bytes)
        let blocks = try decodeCount(&reader)
        let branches = try decodeCount(&reader)
        let (partSize, overflow) = branches.multipliedReportingOverflow(by: recordSize)
        guard !overflow, reader.remaining % 3 == 0, blocks.multipliedReportingOverflow(by: 3 * (partSize + 8)).partialValue == reader.remaining else {
            throw FormatError(.badLength, "partial specs of the wrong length", expected: "\(blocks) blocks of \(branches) branches", found: "\(bytes.count) bytes")
        }
        var result: [[PartialSpecs]] = []
        for _ in 0..<blocks {
            var parts: [PartialSpecs] = []
            for _ in 0..<3 {
                var part = PartialSpecs(rows: try integer(&reader), branches: [])
                for _ in 0..<branches { part.branches.append(try statistics(&reader)) }
                parts.append(part)
            }
            result.append(parts)
        }
        return result
    }

    private static func integer(_ reader: inout ByteReader) throws(FormatError) -> Int64 { Int64(bitPattern: try reader.u64().byteSwapped) }
    private static func real(_ reader: inout ByteReader) throws(FormatError) -> Double { Double(bitPattern: try reader.u64().byteSwapped) }

    private static func decodeCount(_ reader: inout ByteReader) throws(FormatError) -> Int {
        let value = try integer(&reader)
        guard value >= 0, value < 1 << 40 else { throw FormatError(.badLength, "a count makes no sense", found: "\(value)") }
        return Int(value)
    }

    private static func statistics(_ reader: inout ByteReader) throws(FormatError) -> BranchStatistics {
        var result = BranchStatistics()
        result.values = try integer(&reader)
        result.nonfinite = try integer(&reader)
        result.multiplicity = try integer(&reader)
        result.min = try real(&reader)
        result.max = try real(&reader)
        result.mean = try real(&reader)
        result.squares = try real(&reader)
        return result
    }
}
