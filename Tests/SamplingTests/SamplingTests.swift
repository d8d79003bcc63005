import Cluster
import Foundation
import Sampling
import Testing

@Suite struct SamplingTests {
    private func block(_ dataset: Int, _ rows: [Int]) -> TrainingBlock {
        TrainingBlock(
            dataset: dataset, label: dataset, input: 0, first: 0, end: Int64(rows.reduce(0, +)),
            rows: PartTable.make { rows[$0.rawValue] })
    }

    @Test func theSplitIsInProportionAndRepeats() {
        let splitter = Splitter(.init(), identity: "file")
        var counts = [0, 0, 0]
        for entry in 0..<100_000 { counts[splitter.part(Int64(entry)).rawValue] += 1 }
        #expect(abs(counts[0] - 64_000) < 600 && abs(counts[1] - 16_000) < 500 && abs(counts[2] - 20_000) < 500)
        #expect(Splitter(.init(), identity: "file").part(77) == splitter.part(77))
    }

    /// A block that several lanes share is counted by the first of them.
    @Test func eachBlockHasOneOwner() {
        let blocks = (0..<5).map { _ in block(0, [4, 4, 4]) }
        func piece(_ block: Int) -> LanePiece {
            LanePiece(block: block, rows: PartTable(repeating: 0..<1))
        }
        let lanes = [[piece(3), piece(1), piece(3)], [piece(1), piece(0)], [piece(4), piece(0), piece(3)]]
        let schedule = LaneSchedule(blocks: blocks, lanes: lanes, batch: 3, epochs: 1, seed: 1, shuffle: nil)
        #expect(schedule.ownedBlocks == [[1, 3], [0], [4]])
    }

    /// The numbers that models were trained with: written out from the mixing function, and never to change.
    @Test func randomStreamsKeepTheirNumbers() {
        #expect(RandomStream.initialValues.key(seed: 42, 3) == mix(42, 0x1217, 3))
        #expect(RandomStream.laneOrder.key(seed: 42, 1, 2, 3) == mix(42, 0x0D3, 1, 2, 3))
        #expect(RandomStream.dropout.key(seed: 7, 9, 2) == mix(7, 0xD20, 9, 2))
        #expect(RandomStream.laneDeal.key(seed: 7, 1) == mix(7, 0x1A9E, 1))
        #expect(RandomStream.dropout.key(seed: 7) == mix(7, 0xD20))
        let keys = RandomStream.allCases.map { $0.key(seed: 1, 2) }
        #expect(Set(keys).count == keys.count)
    }

    @Test func aPartTableIsAnArrayOfThreeInJSON() throws {
        let table = PartTable(train: 3, validation: 1, test: 2)
        let json = try JSONEncoder().encode(table)
        #expect(String(decoding: json, as: UTF8.self) == "[3,1,2]")
        #expect(try JSONDecoder().decode(PartTable<Int>.self, from: json) == table)
        for wrong in ["[1,2]", "[1,2,3,4]", "7"] {
            #expect(throws: DecodingError.self) {
                try JSONDecoder().decode(PartTable<Int>.self, from: Data(wrong.utf8))
            }
        }
        #expect(table.total == 6 && table[.test] == 2 && SplitPart(code: 3) == nil && SplitPart.test.code == 2)
    }
}
