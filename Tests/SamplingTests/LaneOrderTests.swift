import Cluster
import Foundation
import Sampling
import Testing

/// The order of training samples: each once an epoch, and mixed as if drawn from all files.
@Suite struct LaneOrderTests {
    /// A job's files, each with one dataset and so many training samples, in blocks of at most 8,192.
    struct Files {
        var blocks: [TrainingBlock] = []

        init(_ files: [(dataset: Int, samples: Int)], blockSize: Int = 8192) {
            for (input, file) in files.enumerated() {
                var first = 0
                while first < file.samples {
                    let count = min(blockSize, file.samples - first)
                    blocks.append(
                        TrainingBlock(
                            dataset: file.dataset, label: file.dataset, input: input, first: Int64(first),
                            end: Int64(first + count), rows: PartTable(train: count, validation: 0, test: 0)))
                    first += count
                }
            }
        }

        func schedule(lanes: Int, batch: Int, shuffle: Int? = nil, seed: UInt64 = 1) -> LaneSchedule {
            LaneSchedule(
                blocks: blocks, lanes: LaneDealer.deal(blocks, lanes: lanes, seed: seed), batch: batch, epochs: 2,
                seed: seed, shuffle: shuffle)
        }
    }

    /// All batches of an epoch; a sample as its block and row.
    static func batches(_ schedule: LaneSchedule, epoch: Int = 0) -> [[(block: Int, row: Int)]] {
        var orders = schedule.lanes.indices.map { schedule.order(ofLane: $0, epoch: epoch, stepsDone: 0) }
        return (0..<schedule.step.steps).map { step in
            schedule.lanes.indices.flatMap { lane in
                (0..<schedule.step.count(lane: lane, step: step)).compactMap { _ in
                    orders[lane].next().map { (schedule.lanes[lane][Int($0.piece)].block, Int($0.row)) }
                }
            }
        }
    }

    /// Mean over the batches of the chi-squared statistic of each batch's composition over its degrees of freedom: 1
    /// for random draws.
    static func dispersion(_ batches: [[Int]], shares: [Double]) -> Double {
        var sum = 0.0
        for batch in batches {
            var counts = [Int](repeating: 0, count: shares.count)
            for kind in batch { counts[kind] += 1 }
            for (count, share) in zip(counts, shares) where share > 0 {
                let expected = share * Double(batch.count)
                sum += (Double(count) - expected) * (Double(count) - expected) / expected
            }
        }
        return sum / Double(batches.count) / Double(shares.filter { $0 > 0 }.count - 1)
    }

    private static let nine = (0..<9).map { (dataset: $0 == 0 ? 1 : 0, samples: 20_000 + 1000 * $0) }

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var files: [(dataset: Int, samples: Int)]
        var lanes = 8
        var batch = 100
        var shuffle: Int?
    }

    static let cases: [Case] = [
        Case(testDescription: "nine files", files: nine),
        Case(testDescription: "nine files, a small shuffle", files: nine, shuffle: 4000),
        Case(testDescription: "one lane", files: nine, lanes: 1),
        Case(testDescription: "2,000 small files", files: (0..<2000).map { ($0 % 2, 20 + $0 % 7) }),
        Case(
            testDescription: "unequal datasets",
            files: [(0, 3000)] + (0..<40).map { _ in (1, 2000) }, batch: 256),
        Case(testDescription: "a batch smaller than L", files: nine, lanes: 16, batch: 5),
        Case(testDescription: "one file", files: [(0, 30_000)], batch: 64),
        Case(testDescription: "a file of one event", files: [(0, 1), (1, 5000)], batch: 64),
    ]

    /// Each sample once, steps that differ by at most L samples, and both the same after a restart in mid-epoch.
    @Test(arguments: cases) func eachSampleIsSeenOnce(_ test: Case) {
        let files = Files(test.files)
        let schedule = files.schedule(lanes: test.lanes, batch: test.batch, shuffle: test.shuffle)
        let total = test.files.reduce(0) { $0 + $1.samples }
        #expect(schedule.step.steps == (total + test.batch - 1) / test.batch)
        let batches = Self.batches(schedule)
        var seen = files.blocks.map { [Bool](repeating: false, count: $0.rows.train) }
        for (block, row) in batches.joined() {
            #expect(!seen[block][row])
            seen[block][row] = true
        }
        #expect(seen.allSatisfy { $0.allSatisfy { $0 } })
        let sizes = batches.map(\.count)
        #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= test.lanes && (sizes.min() ?? 0) > 0)
        let middle = schedule.step.steps / 2
        for lane in schedule.lanes.indices {
            var whole = schedule.order(ofLane: lane, epoch: 0, stepsDone: 0)
            for _ in 0..<schedule.step.position(lane: lane, step: middle) { _ = whole.next() }
            var part = schedule.order(ofLane: lane, epoch: 0, stepsDone: middle)
            for _ in 0..<50 { #expect(whole.next() == part.next()) }
        }
        #expect(Self.batches(schedule, epoch: 1).joined().map(\.row) != batches.joined().map(\.row))
    }

    /// A batch's files are not more dispersed than those of a random draw. Lanes that hold parts of the files make
    /// them a little less so.
    @Test(arguments: cases.filter { $0.files.count > 1 }) func batchesMixAllFiles(_ test: Case) {
        let files = Files(test.files)
        let schedule = files.schedule(lanes: test.lanes, batch: test.batch, shuffle: test.shuffle)
        let total = Double(test.files.reduce(0) { $0 + $1.samples })
        // Files so small that a batch expects less than one sample are taken together.
        let groups = test.files.indices.map { Double(test.files[$0].samples) / total < 0.005 ? $0 % 10 : 10 + $0 }
        let names = Set(groups).sorted()
        var shares = [Double](repeating: 0, count: names.count)
        let group = groups.map { names.firstIndex(of: $0)! }
        for (file, own) in group.enumerated() { shares[own] += Double(test.files[file].samples) / total }
        let batches = Self.batches(schedule).map { batch in batch.map { group[files.blocks[$0.block].input] } }
        if names.count > 1 {
            let dispersion = Self.dispersion(batches, shares: shares)
            #expect(dispersion < 1.12 && dispersion > 0.35, "\(dispersion)")
        }
        let signal = Double(test.files.reduce(0) { $0 + ($1.dataset == 1 ? $1.samples : 0) }) / total
        if signal > 0, signal < 1 {
            let classes = Self.batches(schedule).map { batch in batch.map { files.blocks[$0.block].dataset } }
            let dispersion = Self.dispersion(classes, shares: [1 - signal, signal])
            #expect(dispersion < 1.12 && dispersion > 0.35, "by class: \(dispersion)")
        }
    }

    /// Files whose entries are sorted by class: with a buffer that holds the lane, batches mix the classes too.
    @Test func sortedFilesAreMixed() {
        let files = Files((0..<4).map { _ in (0, 24_000) })
        let schedule = files.schedule(lanes: 8, batch: 128)
        // The first third of each file is of class 1.
        let classes = Self.batches(schedule).map { batch in
            batch.map { files.blocks[$0.block].first + Int64($0.row) < 8000 ? 1 : 0 }
        }
        let dispersion = Self.dispersion(classes, shares: [2.0 / 3, 1.0 / 3])
        #expect(dispersion < 1.12, "\(dispersion)")
    }

    /// The lanes' samples of each dataset differ by at most one, in every part.
    @Test func lanesAreEqual() {
        let sizes = [(640, 160, 200), (1280, 320, 400), (0, 0, 0), (7, 1, 0), (1, 0, 0), (3, 0, 1)]
        let blocks = sizes.enumerated().map { index, rows in
            TrainingBlock(
                dataset: index % 2, label: index % 2, input: index, first: 0, end: Int64(rows.0 + rows.1 + rows.2),
                rows: PartTable(train: rows.0, validation: rows.1, test: rows.2))
        }
        for lanes in [1, 3, 8, 50, 4000] {
            let dealt = LaneDealer.deal(blocks, lanes: lanes, seed: 42)
            #expect(dealt == LaneDealer.deal(blocks, lanes: lanes, seed: 42))
            for part in SplitPart.allCases {
                for dataset in 0..<2 {
                    let counts = dealt.map { pieces in
                        pieces.reduce(0) { blocks[$1.block].dataset == dataset ? $0 + $1.rows[part].count : $0 }
                    }
                    #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1)
                }
                for (index, block) in blocks.enumerated() {
                    var rows = dealt.joined().filter { $0.block == index }.map { $0.rows[part] }.filter { !$0.isEmpty }
                    rows.sort { $0.lowerBound < $1.lowerBound }
                    #expect(rows.reduce(0) { $0 + $1.count } == block.rows[part])
                    #expect(zip(rows, rows.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
                }
            }
        }
        #expect(Set((0..<UInt64(9)).map { "\(LaneDealer.deal(blocks, lanes: 8, seed: $0))" }).count > 1)
    }
}
