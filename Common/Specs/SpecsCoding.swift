import Bytes
import Cluster

/// Encodes partial specs as bytes, little-endian: the number of blocks and of branches, then for each block and part its rows and statistics.
package enum SpecsCoding {
    private static let recordSize = 7 * 8
    private static let partCount = SplitPart.allCases.count

    /// - Parameter blocks: for each block the specs of its parts.
    package static func encode(_ blocks: [PartTable<PartialSpecs>]) -> [UInt8] {
        var bytes: [UInt8] = []
        let branches = blocks.first?.train.branches.count ?? 0
        bytes.reserveCapacity(16 + blocks.count * partCount * (8 + branches * recordSize))
        func put(_ value: UInt64) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
        put(UInt64(blocks.count))
        put(UInt64(branches))
        for part in blocks.lazy.flatMap(\.values) {
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

    /// - Throws: `InputError` where the length contradicts the counts.
    package static func decode(_ bytes: [UInt8]) throws(InputError) -> [PartTable<PartialSpecs>] {
        var reader = ByteReader(bytes.span.bytes)
        let blocks = try reader.little(UInt64.self)
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
            var words = Words(base: base, offset: 16)
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
