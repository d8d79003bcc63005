import Bytes
import Cluster
import Features
import Foundation
import Pipeline
import Sampling
import TestKit
import Testing

/// The samples of a data plan, read ahead and handed over in the plan's order.
@Suite struct PlanScanTests {
    private struct Stop: Error {}

    /// A plan of one file in blocks of ten entries, and the folder that the file lies in.
    private func withPlan(_ body: (DataPlan, URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "beamline-plan-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardizedFileURL
        let made = try Process.result(
            root.appending(path: ".build-python/bin/python").path,
            [root.appending(path: "scripts/make-sample").path, folder.path, "--events", "900"])
        try #require(made.status == 0)
        let file = FileReplicas(folder.appending(path: "tth/tth_1.root").path)
        let reader = BlockReader(ReadResources(threads: 1), localRoots: ["/"])
        let survey = try reader.survey(file, tree: "events", verify: false)
        let input = InputTree(file, tree: "events", identity: survey.identity)
        let split = JobDescription.Split()
        let splitter = Splitter(split, identity: survey.identity)
        let blocks = stride(from: Int64(0), to: survey.entries, by: 10).map { first in
            var rows = PartTable(repeating: 0)
            let end = min(survey.entries, first + 10)
            for entry in first..<end { rows[splitter.part(entry)] += 1 }
            return TrainingBlock(dataset: 0, label: 1, input: 0, first: first, end: end, rows: rows)
        }
        let channel = Channel(branch: "feat0", width: 1, jagged: false, offset: 0, scale: 1, fill: 0)
        try body(
            DataPlan(
                split: split, labelBranch: nil, schema: DataSchema(flat: [channel]), inputs: [input], blocks: blocks,
                lanes: []), folder)
    }

    private func scan(_ plan: DataPlan, threads: Int) throws -> PlanScan {
        try PlanScan(plan, resources: ReadResources(threads: 2), localRoots: ["/"], threads: threads)
    }

    @Test(arguments: [1, 7, 100])
    func blocksComeInOrderOnAnyNumberOfThreads(threads: Int) throws {
        try withPlan { plan, _ in
            var entries: [Int64] = []
            try scan(plan, threads: threads).forEachBlock(of: SplitPart.allCases) { block, store in
                let found = SplitPart.allCases.flatMap { part in
                    (0..<store[part].count).map { store[part].entry($0) }
                }
                #expect(found.sorted() == Array(block.first..<block.end))
                entries += found.sorted()
            }
            #expect(entries.count > 200 && entries == Array(0..<Int64(entries.count)))
            // Blocks without samples of the part are not read.
            var all = 0
            try scan(plan, threads: threads).forEachBlock(of: [.test]) { block, store in
                #expect(block.rows.test > 0)
                all += store[.test].count
            }
            #expect(all == plan.blocks.reduce(0) { $0 + $1.rows.test })
        }
    }

    @Test func errorsEndTheScan() throws {
        try withPlan { plan, folder in
            var count = 0
            #expect(throws: Stop.self) {
                try scan(plan, threads: 4).forEachBlock(of: [.train]) { _, _ in
                    count += 1
                    if count == 3 { throw Stop() }
                }
            }
            #expect(count == 3)
            try FileManager.default.removeItem(at: folder)
            let error = #expect(throws: InputError.self) {
                try scan(plan, threads: 4).forEachBlock(of: [.train]) { _, _ in
                    Issue.record("no block can be read")
                }
            }
            #expect(error?.description.contains("tth_1.root") == true, "\(error as Any)")
        }
    }

    @Test func inconsistentPlansAreRejected() throws {
        try withPlan { plan, _ in
            let changes: [(inout DataPlan) -> Void] = [
                { $0.blocks[1].input = 1 }, { $0.blocks[1].input = -1 }, { $0.blocks[1].first = -1 },
                { $0.blocks[1].end = 0 }, { $0.blocks[1].end = .max }, { $0.blocks[1].label = 1 << 40 },
                { $0.blocks[1].rows.train = -1 }, { $0.blocks[1].rows.test = 11 },
                { $0.schema.inputs[0].channels[0].width = 0 },
            ]
            for change in changes {
                var broken = plan
                change(&broken)
                let error = #expect(throws: InputError.self) { try scan(broken, threads: 1) }
                #expect(error?.code == .corrupt, "\(error as Any)")
            }
        }
    }
}
