import Bytes
import CCodecs
import Columns
import Foundation
import RootFormat
import Storage
import Testing

/// Real files by many writers, compared with reference values that uproot computed.
@Suite struct CorpusTests {
    static let corpus = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../../shared/root-corpus").standardizedFileURL

    static var files: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: corpus.appending(path: "files").path)) ?? []
        if names.isEmpty { print("skipped: no reference files at ../shared/root-corpus") }
        return names.filter { $0.hasSuffix(".root") }.sorted()
    }

    struct Expected: Decodable {
        struct Tree: Decodable {
            var path: String
            var kind: String
            var entries: Int64
            var branches: [Branch]?
            var lower_cycle: Bool?
        }
        struct Branch: Decodable {
            var branch: String
            var field: String?
            var branch_class: String?
            var leaf_classes: [String]?
            var typename: String?
            var dtype: String?
            var levels: [Level]
            var values: Int
            var entries: Int64
            var min: Double?
            var max: Double?
            var sum: Double?
            var sumabs: Double?
            var max_values: Int?
            var crc_values: UInt32
            var crc_offsets: [UInt32]
            var nonfinite: NonFinite?
        }
        struct NonFinite: Decodable { var nan: Int; var inf: Int }
        enum Level: Decodable {
            case fixed(Int), varying
            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                if let number = try? container.decode(Int.self) { self = .fixed(number) } else { self = .varying }
            }
        }
        var error: String?
        var trees: [Tree]?
    }

    @Test(arguments: files) func agreesWithReference(_ name: String) throws {
        let expectedURL = Self.corpus.appending(path: "expected/\(name).json")
        let expected = try JSONDecoder().decode(Expected.self, from: Data(contentsOf: expectedURL))
        let path = Self.corpus.appending(path: "files/\(name)").path
        guard expected.error == nil else {
            // A file that the reference cannot open need not open, but must not trap.
            _ = try? RootFile(url: path).treeKeys
            return
        }
        let file = try RootFile(url: path)
        var seen: Set<String> = []
        for tree in expected.trees ?? [] where tree.kind == "TTree" && tree.lower_cycle != true {
            let treePath = String(tree.path.prefix { $0 != ";" })
            guard seen.insert(treePath).inserted, file.treeKeys.contains(where: { $0.path == treePath }) else { continue }
            let description = try file.tree(treePath)
            #expect(description.entries == tree.entries)
            // Some files have two branches of one name: the reference lists them in the same order.
            var repeats: [String: Int] = [:]
            for branch in tree.branches ?? [] {
                let key = branch.branch + "." + (branch.field ?? "")
                try compare(branch, repeats[key, default: 0], description, file, "\(name):\(treePath)")
                repeats[key, default: 0] += 1
            }
        }
    }

    /// Kinds that this version promises; a promised branch that is refused is a failure.
    private func isPromised(_ branch: Expected.Branch) -> Bool {
        let varying = branch.levels.filter { if case .varying = $0 { true } else { false } }.count
        let plain = (branch.leaf_classes ?? []).allSatisfy { ["TLeafB", "TLeafS", "TLeafI", "TLeafL", "TLeafG", "TLeafF", "TLeafD", "TLeafO"].contains($0) }
        if branch.branch_class == "TBranchElement" {
            // Vectors of numbers that are branches of their own, not members of a split object.
            let name = (branch.typename ?? "").replacing("std::", with: "")
            return name.hasPrefix("vector<") && varying == 1 && branch.levels.count == 1 && branch.field == nil
                && !branch.branch.contains("/") && !branch.branch.contains(".")
        }
        return branch.branch_class == "TBranch" && plain && varying <= 1 && (branch.field == nil || varying == 0)
    }

    private func compare(_ expected: Expected.Branch, _ repetition: Int, _ tree: TreeDescription, _ file: RootFile, _ place: String) throws {
        let found = tree.branches.filter { $0.branchPath == expected.branch && $0.leafName == expected.field }.dropFirst(repetition).first
        guard let branch = found, let (type, shape) = branch.numbers else {
            #expect(!isPromised(expected), "\(place) \(expected.branch).\(expected.field ?? "") (\(expected.typename ?? "")): \(found?.unsupportedReason ?? "not found")")
            return
        }
        guard expected.entries == tree.entries else { return }
        let label = "\(place) \(branch.name)"
        #expect(type.numpyName == expected.dtype, "\(label)")
        let column: Column
        do {
            let plan = try EntryPlan(tree: tree, branches: [branch], entries: 0..<tree.entries)
            column = try ColumnDecoder().decode(plan, file.source.read(plan.ranges)).columns[0]
        } catch {
            Issue.record("\(label): \(error)")
            return
        }
        #expect(column.count == expected.values, "\(label)")
        #expect(crc(column.values.pointer, column.count * type.size) == expected.crc_values, "\(label): values")
        if shape.isJagged, expected.crc_offsets.count == 1 {
            #expect(crc(column.offsets!.pointer, (column.entries + 1) * 8) == expected.crc_offsets[0], "\(label): offsets")
        }
    }

    private func crc(_ bytes: UnsafeMutableRawPointer, _ count: Int) -> UInt32 {
        UInt32(crc32(0, bytes.assumingMemoryBound(to: UInt8.self), UInt32(count)))
    }
}
