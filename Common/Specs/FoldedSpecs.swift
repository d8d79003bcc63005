package import Bytes
package import Cluster

/// The specs of one file: its blocks' partial specs folded in their order, and how many rows each block gives to train,
/// validation and test.
package struct FoldedSpecs: Sendable, Equatable {
    /// The specs of each part; nil where the file has no block.
    package private(set) var parts: PartTable<PartialSpecs>?
    /// The specs of all parts together.
    package private(set) var whole = PartialSpecs(branches: [])
    /// For each block the samples of each part.
    package private(set) var blockRows: [PartTable<Int64>] = []

    package init() {}

    /// - Parameter chunks: the partial specs of the file's chunks, in the order of their first entries.
    package init(_ chunks: [[UInt8]]) throws(InputError) {
        for chunk in chunks { for block in try SpecsCoding.decode(chunk) { add(block) } }
    }

    private mutating func add(_ block: PartTable<PartialSpecs>) {
        blockRows.append(block.map(\.rows))
        if var merged = parts.take() {
            for part in SplitPart.allCases { merged[part].merge(block[part]) }
            parts = merged
            whole.merge(block.train)
        } else {
            parts = block
            whole = block.train
        }
        whole.merge(block.validation)
        whole.merge(block.test)
    }

    /// The parts and the whole, as `SpecsCoding` has them: two blocks, the second with the whole as its first part. Its
    /// format is that of `rowBytes` too.
    package var specsBytes: [UInt8] {
        let empty = PartialSpecs(branches: .init(repeating: BranchStatistics(), count: whole.branches.count))
        return parts.map { SpecsCoding.encode([$0, PartTable(train: whole, validation: empty, test: empty)]) } ?? []
    }

    /// The blocks' rows, seven bits a byte, lowest first.
    package var rowBytes: [UInt8] {
        var bytes: [UInt8] = []
        for value in blockRows.lazy.flatMap(\.values) {
            var rest = UInt64(bitPattern: value)
            while rest > 127 {
                bytes.append(UInt8(truncatingIfNeeded: rest) | 128)
                rest >>= 7
            }
            bytes.append(UInt8(rest))
        }
        return bytes
    }

    /// - Throws: `InputError` where the bytes are not those of `specsBytes` and `rowBytes`.
    package init(specsBytes: [UInt8], rowBytes: [UInt8]) throws(InputError) {
        guard !specsBytes.isEmpty else { return }
        let blocks = try SpecsCoding.decode(specsBytes)
        var values: [Int64] = []
        var value: UInt64 = 0
        var shift: UInt64 = 0
        for byte in rowBytes {
            guard shift < 64 else {
                throw InputError(
                    .corrupt, "a block's number of rows is invalid", expected: "at most 10 bytes of 7 bits")
            }
            value |= UInt64(byte & 127) << shift
            shift += 7
            guard byte < 128 else { continue }
            values.append(Int64(bitPattern: value))
            (value, shift) = (0, 0)
        }
        guard blocks.count == 2, shift == 0, values.count % SplitPart.allCases.count == 0 else {
            throw InputError(.corrupt, "folded specs are not of their file")
        }
        parts = blocks[0]
        whole = blocks[1].train
        blockRows = stride(from: 0, to: values.count, by: SplitPart.allCases.count).map { first in
            PartTable.make { values[first + $0.rawValue] }
        }
    }
}
