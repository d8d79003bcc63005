import Bytes
import Cluster
import Columns
import Specs
import Testing

@Suite struct SpecsTests {
    private func column(_ values: [Double], offsets: [Int64]) -> Column {
        let buffer = AlignedBuffer(capacity: values.count * 8)
        _ = buffer.values(of: Double.self, count: values.count).update(fromContentsOf: values)
        let offsetBuffer = AlignedBuffer(capacity: offsets.count * 8)
        _ = offsetBuffer.values(of: Int64.self, count: offsets.count).update(fromContentsOf: offsets)
        return Column(
            type: .float64, shape: .jagged(inner: []), entries: offsets.count - 1, count: values.count, values: buffer,
            offsets: [.init(buffer: offsetBuffer, count: offsets.count)])
    }

    private static func compute(_ batch: ColumnBatch, _ range: Range<Int>, parts: [UInt8]) -> PartTable<PartialSpecs> {
        let scanner = SpecsScanner(parts: parts, ranges: [range], branches: batch.columns.count)
        for (index, column) in batch.columns.enumerated() { scanner.add(column, index) }
        return scanner.blocks[0]
    }

    @Test func valuesAreCountedByPart() {
        let batch = ColumnBatch(
            first: 0, entries: 3, names: ["x"], columns: [column([1, 2, .nan, 5, 7], offsets: [0, 2, 3, 5])])
        let specs = Self.compute(batch, 0..<3, parts: [0, 1, 0])
        #expect(specs.values.map(\.rows) == [2, 1, 0])
        let train = specs.train.branches[0]
        #expect((train.values, train.min, train.max, train.mean, train.multiplicity) == (4, 1, 7, 3.75, 2))
        #expect(abs(train.squares - 22.75) < 1e-12)
        #expect(specs.validation.branches[0].nonfinite == 1 && specs.validation.branches[0].values == 0)
    }

    @Test func mergingAgreesWithOnePass() {
        var random = SeededRandom(seed: 1)
        let values = (0..<999).map { _ in Double(random.below(1_000_000)) / 1000 }
        func specs(_ range: Range<Int>) -> BranchStatistics {
            let part = Array(values[range])
            let batch = ColumnBatch(
                first: 0, entries: 1, names: ["x"], columns: [column(part, offsets: [0, Int64(part.count)])])
            return Self.compute(batch, 0..<1, parts: [0]).train.branches[0]
        }
        var merged = specs(0..<300)
        merged.merge(specs(300..<301))
        merged.merge(BranchStatistics())
        merged.merge(specs(301..<999))
        let once = specs(0..<999)
        #expect(merged.values == once.values && merged.min == once.min && merged.max == once.max)
        #expect(abs(merged.mean - once.mean) < 1e-9 && abs(merged.deviation - once.deviation) < 1e-9)
    }

    @Test func bytesComeBack() throws {
        var statistics = BranchStatistics()
        (statistics.values, statistics.min, statistics.mean) = (3, -0.5, .pi)
        let blocks = [
            PartTable(
                train: PartialSpecs(rows: 1, branches: [statistics]), validation: .init(rows: 2, branches: [.init()]),
                test: .init(rows: 0, branches: [.init()]))
        ]
        let bytes = SpecsCoding.encode(blocks)
        #expect(try SpecsCoding.decode(bytes) == blocks)
        for cut in 0..<bytes.count {
            #expect(throws: InputError.self) { try SpecsCoding.decode(Array(bytes[..<cut])) }
        }
    }

    /// Format 1 had no word for its format; what is newer than this program is named as such.
    @Test func olderFormatsAreReadAndNewerOnesNamed() throws {
        let blocks = [PartTable(repeating: PartialSpecs(rows: 7, branches: [.init(), .init()]))]
        let bytes = SpecsCoding.encode(blocks)
        #expect(Array(bytes.prefix(8)) == Array("BLSPECS".utf8) + [2])
        #expect(Array(bytes.dropFirst(8)) == SpecsCoding.content(blocks))
        #expect(try SpecsCoding.decode(SpecsCoding.content(blocks)) == blocks)
        let error = #expect(throws: InputError.self) { try SpecsCoding.decode(Array("BLSPECS".utf8) + [3]) }
        #expect(error?.description.contains("newer version") == true)
        // A file's folded specs as the first format stored them.
        let folded = try FoldedSpecs([bytes])
        let old = SpecsCoding.content([
            try #require(folded.parts),
            PartTable(
                train: folded.whole, validation: .init(branches: [.init(), .init()]),
                test: .init(branches: [.init(), .init()])),
        ])
        #expect(try FoldedSpecs(specsBytes: old, rowBytes: folded.rowBytes) == folded)
        #expect(try FoldedSpecs(specsBytes: folded.specsBytes, rowBytes: folded.rowBytes) == folded)
    }

    /// An entry of no part adds to no part's rows, values or multiplicity.
    @Test func entriesOfNoPartAreLeftOut() {
        let batch = ColumnBatch(first: 0, entries: 2, names: ["x"], columns: [column([1, 2, 8], offsets: [0, 2, 3])])
        let specs = Self.compute(batch, 0..<2, parts: [3, 0])
        #expect(specs.values.map(\.rows) == [1, 0, 0])
        #expect(specs.train.branches[0].values == 1 && specs.train.branches[0].multiplicity == 1)
        #expect(specs.test.branches[0] == BranchStatistics())
    }
}
