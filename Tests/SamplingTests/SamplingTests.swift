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

    @Test func lanesHoldEachRowOnceAndTheDatasetsInProportion() {
        let blocks = [
            block(0, [640, 160, 200]), block(1, [1280, 320, 400]), block(1, [0, 0, 0]), block(1, [7, 1, 0]),
        ]
        let lanes = LanePlan.deal(blocks, lanes: 8, seed: 42)
        #expect(lanes == LanePlan.deal(blocks, lanes: 8, seed: 42))
        #expect(lanes != LanePlan.deal(blocks, lanes: 8, seed: 43))
        for (index, block) in blocks.enumerated() {
            for part in SplitPart.allCases {
                var seen = [Int](repeating: 0, count: block.rows[part])
                for piece in lanes.joined() where piece.block == index {
                    for row in piece.rows[part] { seen[row] += 1 }
                }
                #expect(seen.allSatisfy { $0 == 1 })
            }
        }
        for lane in lanes {
            let signal = lane.filter { blocks[$0.block].dataset == 0 }.reduce(0) { $0 + $1.rows.train.count }
            #expect(abs(signal - 80) <= 60)
        }
    }

    @Test func theSplitIsInProportionAndRepeats() {
        let splitter = Splitter(.init(), identity: "file")
        var counts = [0, 0, 0]
        for entry in 0..<100_000 { counts[splitter.part(Int64(entry)).rawValue] += 1 }
        #expect(abs(counts[0] - 64_000) < 600 && abs(counts[1] - 16_000) < 500 && abs(counts[2] - 20_000) < 500)
        #expect(Splitter(.init(), identity: "file").part(77) == splitter.part(77))
    }

    /// Every lane gives its share of a batch, and the longest lane decides how many steps an epoch has.
    @Test func theLanesShareABatch() {
        let blocks = [block(0, [100, 0, 0]), block(1, [50, 0, 0])]
        let lanes = [
            [LanePiece(block: 0, rows: PartTable(train: 0..<100, validation: 0..<0, test: 0..<0))],
            [LanePiece(block: 1, rows: PartTable(train: 0..<50, validation: 0..<0, test: 0..<0))], [],
        ]
        let schedule = LaneSchedule(blocks: blocks, lanes: lanes, batch: 32, epochs: 2, seed: 1)
        #expect((0..<3).map(schedule.batch(ofLane:)) == [10, 11, 11])
        #expect(schedule.stepsPerEpoch == 10 && schedule.steps == 20 && schedule.datasets == 2)
    }

    /// A block that several lanes share is counted by the first of them.
    @Test func eachBlockHasOneOwner() {
        let blocks = (0..<5).map { _ in block(0, [4, 4, 4]) }
        func piece(_ block: Int) -> LanePiece {
            LanePiece(block: block, rows: PartTable(repeating: 0..<1))
        }
        let lanes = [[piece(3), piece(1), piece(3)], [piece(1), piece(0)], [piece(4), piece(0), piece(3)]]
        let schedule = LaneSchedule(blocks: blocks, lanes: lanes, batch: 3, epochs: 1, seed: 1)
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

    @Test func eachRowIsSeenOnceAnEpochInProportion() {
        let sizes = [[101, 20, 33], [200, 41, 50], [77, 0, 10], [150, 30, 30]]
        let blocks = sizes.enumerated().map { block($0 % 2, $1) }
        let pieces = blocks.indices.map { index in
            LanePiece(block: index, rows: blocks[index].rows.map { 0..<$0 / 2 })
        }
        var order = LaneOrder(pieces, blocks: blocks, datasets: 2, seed: 1, epoch: 0, lane: 0)
        var seen: [String: Int] = [:]
        var labels: [Int] = []
        while let row = order.next() {
            seen["\(row.block)/\(row.row)", default: 0] += 1
            labels.append(blocks[row.block].label)
        }
        #expect(seen.count == order.total && seen.values.allSatisfy { $0 == 1 })
        let share = Double(labels.reduce(0, +)) / Double(labels.count)
        for start in stride(from: 0, to: labels.count - 20, by: 20) {
            #expect(abs(Double(labels[start..<start + 20].reduce(0, +)) - 20 * share) <= 1.5)
        }
        var skipped = LaneOrder(pieces, blocks: blocks, datasets: 2, seed: 1, epoch: 0, lane: 0)
        var walked = LaneOrder(pieces, blocks: blocks, datasets: 2, seed: 1, epoch: 0, lane: 0)
        skipped.skip(97)
        for _ in 0..<97 { _ = walked.next() }
        while let row = walked.next() { #expect(skipped.next() == row) }
        #expect(skipped.next() == nil)
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
