import Bytes
import Cluster
import Columns
import Foundation
import Pipeline
import RootFormat
import Specs
import TestKit
import Testing

/// Files that ROOT writes here and now, in forms that real files of the corpus do not have, against what ROOT reads
/// back.
@Suite struct RootWrittenTests {
    struct Expected: Decodable {
        struct Column: Decodable {
            var values: [Double]
            var offsets: [[Int64]]
        }
        var tree: String
        var columns: [String: Column]
    }

    static let project = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
        .standardizedFileURL
    static let python = project.appending(path: ".build-python/bin/python").path

    static let hasROOT: Bool = {
        let found = (try? run(["-c", "import ROOT"])) == 0
        if !found { print("skipped: ROOT is not in .build-python (scripts/install-dependencies puts it there)") }
        return found
    }()

    static func run(_ arguments: [String]) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(filePath: python)
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.start()
        process.waitUntilExit()
        return process.terminationStatus
    }

    @Test(.enabled(if: hasROOT)) func agreesWithROOT() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "beamline-root-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let script = Self.project.appending(path: "Tests/RootFormatTests/oracles/root_files.py").path
        try #require(try Self.run([script, directory.path]) == 0)
        for name in ["nooffsets", "collections", "ntuple", "ntuple_zstd", "ntuple_xz"] {
            let expected = try JSONDecoder().decode(
                Expected.self, from: Data(contentsOf: directory.appending(path: "\(name).json")))
            let file = try RootFile(url: directory.appending(path: "\(name).root").path)
            let tree = try file.tree(expected.tree)
            for (column, values) in expected.columns { try compare(column, values, tree, file, name) }
        }
        try largeFilesAreRead(directory.appending(path: "large.root").path)
        try friendsAreRead(directory.appending(path: "friends.root").path, below: directory.path)
    }

    /// Objects of compiled classes: numbers that look like an object's header, pointers to objects that another member
    /// counts, TClonesArrays that are not split, leaves that another branch counts, trees of a class of their own, and
    /// two versions of a class joined.
    @Test(.enabled(if: hasROOT)) func objectsAgreeWithROOT() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "beamline-root-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let script = Self.project.appending(path: "Tests/RootFormatTests/oracles/root_classes.py").path
        try #require(try Self.run([script, directory.path]) == 0)
        for name in ["loops", "clones", "counted"] {
            let expected = try JSONDecoder().decode(
                Expected.self, from: Data(contentsOf: directory.appending(path: "\(name).json")))
            let file = try RootFile(url: directory.appending(path: "\(name).root").path)
            let tree = try file.tree(expected.tree)
            for (column, values) in expected.columns { try compare(column, values, tree, file, name) }
        }
        let derived = try RootFile(url: directory.appending(path: "derived.root").path)
        #expect(derived.treeKeys.map(\.key.className) == ["Forest"])
        #expect(try derived.tree("events").branches.map(\.name) == ["i"])
        try joinedVersionsAreNoticed(directory.appending(path: "joined.root").path)
    }

    /// Baskets of doubles stand where ints are expected: twice as many values as the counter has.
    private func joinedVersionsAreNoticed(_ path: String) throws {
        let file = try RootFile(url: path)
        let tree = try file.tree("events")
        let outcomes = TreeScan<ColumnSummary>(threads: 1).run([.init(file: file, tree: tree, branches: tree.branches)]
        )[0]
        for (branch, outcome) in zip(tree.branches, outcomes) {
            switch (branch.name, outcome) {
            case ("tracks/tracks.x", .unreadable(let error)):
                #expect(error.message.contains("another number of items than its counter has"), "\(error)")
            case ("tracks/tracks.y", .read(let summary)): #expect(summary.extremes.values == 60)
            default: Issue.record("\(branch.name): \(outcome)")
            }
        }
        #expect(tree.branches.count == 2)
    }

    private func largeFilesAreRead(_ path: String) throws {
        let file = try RootFile(url: path)
        #expect(file.source.size > 5_000_000_000)
        let tree = try file.tree("events")
        let outcomes = TreeScan<ColumnSummary>(threads: 2).run([.init(file: file, tree: tree, branches: tree.branches)]
        )[0]
        guard case .read(let whole) = outcomes[0], case .read(let reals) = outcomes[1] else {
            Issue.record("\(outcomes)")
            return
        }
        #expect(whole.sum == 12_497_500 && whole.extremes.max == .signed(4999))
        #expect(reals.sum == 12_512_485_000 && reals.extremes.values == 5_000_000 && reals.extremes.max == .real(5005))
    }

    private func friendsAreRead(_ path: String, below root: String) throws {
        let reader = BlockReader(ReadResources(threads: 1), localRoots: [root])
        let survey = try reader.survey(FileReplicas(path), tree: "events", verify: false)
        #expect(survey.branches.map(\.name) == ["x", "near.x", "afar.x"])
        func specs(_ branches: [String], roots: [String]) throws -> [BranchStatistics] {
            var split = JobDescription.Split()
            (split.train, split.validation, split.test) = (1, 0, 0)
            let task = ChunkTask(
                InputTree(FileReplicas(path), tree: "events", identity: survey.identity), boundaries: [100, 200])
            let plan = ChunkPlan(branches: branches, split: split)
            return try SpecsCoding.decode(
                BlockReader(ReadResources(threads: 1), localRoots: roots).specs(task, plan).specs)[
                    0
                ].train.branches
        }
        let found = try specs(["afar.x", "x", "near.x"], roots: [root])
        #expect(found.map(\.min) == [1100, 100, -199])
        #expect(found.map(\.max) == [1199, 199, -100])
        // A friend that is not there costs those only who ask for it.
        #expect(throws: InputError.self) { try specs(["lost.x"], roots: [root]) }
    }

    private func compare(
        _ name: String, _ expected: Expected.Column, _ tree: TreeDescription, _ file: RootFile, _ label: String
    ) throws {
        let branch = try #require(tree.branch(name), "\(label): no \(name) in \(tree.branches.map(\.name))")
        // In one piece, and in pieces that cut baskets, pages and clusters.
        // (Entry 386 of 1,000 lies in the second page of switches of its cluster.)
        for pieces in [
            [0, tree.entries],
            [
                0, 1, 7, tree.entries / 3 + 1, max(tree.entries / 3 + 2, tree.entries * 386 / 1000), tree.entries - 3,
                tree.entries,
            ],
        ] {
            var values: [Double] = []
            var offsets = [[Int64]](repeating: [0], count: expected.offsets.count)
            for (start, end) in zip(pieces, pieces.dropFirst()) {
                let plan = try EntryPlan(tree: tree, branches: [branch], entries: start..<end)
                let column = try ColumnDecoder().decode(plan, file.source.read(plan.ranges)).columns[0]
                values += Self.doubles(column)
                #expect(column.offsets.count == expected.offsets.count, "\(label) \(name)")
                for (level, part) in column.offsets.enumerated() where level < offsets.count {
                    let base = offsets[level].last!
                    offsets[level] += part.values.dropFirst().map { $0 + base }
                }
            }
            #expect(
                values == expected.values,
                """
                \(label) \(name) in \(pieces.count - 1) pieces: \(values.prefix(8)), expected \
                \(expected.values.prefix(8))
                """
            )
            #expect(offsets == expected.offsets, "\(label) \(name)")
        }
    }

    private static func doubles(_ column: Column) -> [Double] {
        func all<T: BitwiseCopyable>(_: T.Type, _ convert: (T) -> Double) -> [Double] {
            column.values.values(of: T.self, count: column.count).map(convert)
        }
        return switch column.type {
        case .bool, .uint8: all(UInt8.self) { Double($0) }
        case .int8: all(Int8.self) { Double($0) }
        case .int16: all(Int16.self) { Double($0) }
        case .uint16: all(UInt16.self) { Double($0) }
        case .int32: all(Int32.self) { Double($0) }
        case .uint32: all(UInt32.self) { Double($0) }
        case .int64: all(Int64.self) { Double($0) }
        case .uint64: all(UInt64.self) { Double($0) }
        case .float32: all(Float.self) { Double($0) }
        case .float64: all(Double.self) { $0 }
        }
    }
}
