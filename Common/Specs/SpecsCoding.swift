package import Bytes
package import Cluster

/// Encodes partial specs as bytes, little-endian: a word with the format, the number of blocks and of branches, then
/// for each block and part its rows and statistics.
///
/// Format 1 had no first word: it began with the number of blocks. It is still read.
package enum SpecsCoding {
    /// The format that is written; older ones are read.
    package static let currentFormat: UInt64 = 2
    /// The low seven bytes of the first word, "BLSPECS"; the highest byte is the format.
    private static let magic: UInt64 = 0x53_4345_5053_4C42
    private static let recordSize = 7 * 8
    private static let partCount = SplitPart.allCases.count

    /// - Parameter blocks: for each block the specs of its parts.
    package static func encode(_ blocks: [PartTable<PartialSpecs>]) -> [UInt8] {
        var bytes: [UInt8] = []
        let branches = blocks.first?.train.branches.count ?? 0
        bytes.reserveCapacity(24 + blocks.count * partCount * (8 + branches * recordSize))
        put(magic | currentFormat << 56, to: &bytes)
        append(blocks, to: &bytes)
        return bytes
    }

    /// The bytes without their format, from which digests of specs are computed: they are the same for all formats.
    package static func content(_ blocks: [PartTable<PartialSpecs>]) -> [UInt8] {
        var bytes: [UInt8] = []
        append(blocks, to: &bytes)
        return bytes
    }

    private static func put(_ value: UInt64, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private static func append(_ blocks: [PartTable<PartialSpecs>], to bytes: inout [UInt8]) {
        put(UInt64(blocks.count), to: &bytes)
        put(UInt64(blocks.first?.train.branches.count ?? 0), to: &bytes)
        for part in blocks.lazy.flatMap(\.values) {
            put(UInt64(bitPattern: part.rows), to: &bytes)
            for branch in part.branches {
                put(UInt64(bitPattern: branch.values), to: &bytes)
                put(UInt64(bitPattern: branch.nonfinite), to: &bytes)
                put(UInt64(bitPattern: branch.multiplicity), to: &bytes)
                for real in [branch.min, branch.max, branch.mean, branch.squares] { put(real.bitPattern, to: &bytes) }
            }
        }
    }

    /// - Throws: `InputError` where the format is newer than this program, or the length contradicts the counts.
    package static func decode(_ bytes: [UInt8]) throws(InputError) -> [PartTable<PartialSpecs>] {
        var reader = ByteReader(bytes.span.bytes)
        var blocks = try reader.little(UInt64.self)
        var start = 16
        if blocks & 0xFF_FFFF_FFFF_FFFF == magic {
            guard blocks >> 56 <= currentFormat else {
                throw InputError(
                    .unsupported, "partial specs were written by a newer version of Beamline",
                    expected: "a format up to \(currentFormat)", found: "\(blocks >> 56)")
            }
            blocks = try reader.little(UInt64.self)
            start = 24
        }
        let branches = try reader.little(UInt64.self)
        // As many records as there are bytes: from here on nothing can be missing.
        let (partSize, isLarge) = branches.multipliedReportingOverflow(by: UInt64(recordSize))
        let (size, isLarger) = blocks.multipliedReportingOverflow(by: UInt64(partCount) &* (partSize &+ 8))
        guard !isLarge, !isLarger, partSize <= UInt64(bytes.count), size == UInt64(reader.remaining) else {
            throw InputError(
                .badLength, "partial specs of the wrong length", expected: "\(blocks) blocks of \(branches) branches",
                found: "\(bytes.count) bytes")
        }
        return bytes.withUnsafeBytes { base in
            var words = Words(base: base, offset: start)
            return (0..<blocks).map { _ in PartTable.make { _ in part(&words, Int(branches)) } }
        }
    }

    /// Little-endian words one after another; their number has been checked.
    private struct Words {
        let base: UnsafeRawBufferPointer
        var offset: Int

        mutating func next() -> UInt64 {
            defer { offset += 8 }
            return UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }

        mutating func integer() -> Int64 { Int64(bitPattern: next()) }
        mutating func real() -> Double { Double(bitPattern: next()) }
    }

    private static func part(_ words: inout Words, _ branches: Int) -> PartialSpecs {
        let rows = words.integer()
        let statistics = [BranchStatistics](unsafeUninitializedCapacity: branches) { buffer, count in
            for index in 0..<branches {
                var result = BranchStatistics()
                (result.values, result.nonfinite, result.multiplicity) = (
                    words.integer(), words.integer(), words.integer()
                )
                (result.min, result.max, result.mean, result.squares) = (
                    words.real(), words.real(), words.real(), words.real()
                )
                buffer.initializeElement(at: index, to: result)
            }
            count = branches
        }
        return PartialSpecs(rows: rows, branches: statistics)
    }
}
