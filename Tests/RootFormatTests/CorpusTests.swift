import Bytes
import Columns
import Foundation
import Pipeline
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
            var strings: [Text]?
            var lowerCycle: Bool?
            var error: String?

            enum CodingKeys: String, CodingKey {
                case path, kind, entries, branches, strings, error
                case lowerCycle = "lower_cycle"
            }
        }
        struct Branch: Decodable {
            var branch: String
            var field: String?
            var interpretation: String
            var dtype: String
            var levels: [Level]
            var entries: Int64
            var values: Int64
            var min: Double?
            var max: Double?
            var sum: Double?
            var sumabs: Double?
            var maxMultiplicity: Int64
            var maxMultiplicity2: Int64?
            var maxValues: Int64
            var valuesChecksum: UInt32
            var offsetsChecksums: [UInt32]
            var nonfinite: NonFinite?

            enum CodingKeys: String, CodingKey {
                case branch, field, interpretation, dtype, levels, entries, values, min, max, sum, sumabs, nonfinite
                case maxMultiplicity = "max_mult"
                case maxMultiplicity2 = "max_mult2"
                case maxValues = "max_values"
                case valuesChecksum = "crc_values"
                case offsetsChecksums = "crc_offsets"
            }
        }
        struct Text: Decodable {
            var branch: String
            var field: String?
            var strings: Int64
            var bytes: Int64
            var bytesChecksum: UInt32
            var offsetsChecksums: [UInt32]

            enum CodingKeys: String, CodingKey {
                case branch, field, strings, bytes
                case bytesChecksum = "crc_bytes"
                case offsetsChecksums = "crc_offsets"
            }
        }
        struct NonFinite: Decodable {
            var nan: Int
            var inf: Int
        }
        struct Level: Decodable {
            var level: Shape.Level
            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                level = (try? container.decode(Int.self)).map { .fixed($0) } ?? .varying
            }
        }
        var error: String?
        var trees: [Tree]?
    }

    /// Where the reference is known to be wrong, with what shows it. These must still be read.
    static let disputed: [(file: String, branch: String, why: String)] = [
        (
            "coffea__PHYSLITE_example.root", "jetLink",
            "member-wise items, which the reference reads as if they were interleaved"
        ),
        (
            "skhep__uproot-issue433-splitlevel2.root", "timeslice_start",
            "the reference gives times in 1984; the experiment began in 2019"
        ),
        (
            "skhep__uproot-issue513.root", "fBits",
            "referenced objects have two more bytes; ROOT counts 818 tracks, as we do"
        ),
    ]

    @Test(arguments: files) func agreesWithReference(_ name: String) throws {
        let expected = try JSONDecoder().decode(
            Expected.self, from: Data(contentsOf: Self.corpus.appending(path: "expected/\(name).json")))
        let path = Self.corpus.appending(path: "files/\(name)").path
        guard expected.error == nil else {
            // A file that the reference cannot open need not open, but must not trap.
            _ = try? RootFile(url: path).treeKeys
            return
        }
        let file = try RootFile(url: path)
        for tree in expected.trees ?? [] where tree.lowerCycle != true && tree.error == nil {
            guard let key = file.allTreeKeys.first(where: { "\($0.path);\($0.key.cycle)" == tree.path }) else {
                Issue.record("\(name): no tree \(tree.path)")
                continue
            }
            let description = try file.tree(key)
            #expect(description.entries == tree.entries)
            let scan = TreeScan<ColumnSummary>(threads: 1)
            let outcomes = scan.run([.init(file: file, tree: description, branches: description.branches)])[0]
            compare(tree, description, outcomes, name)
        }
    }

    private struct BranchKey: Hashable {
        var branch: String
        var field: String?
    }

    private func compare(
        _ tree: Expected.Tree, _ description: TreeDescription, _ outcomes: [TreeScan<ColumnSummary>.Outcome],
        _ name: String
    ) {
        // Some files have two branches of one name: the reference lists them in the same order.
        var found: [BranchKey: [(BranchDescription, TreeScan<ColumnSummary>.Outcome)]] = [:]
        for (branch, outcome) in zip(description.branches, outcomes) {
            found[BranchKey(branch: branch.branchPath, field: branch.leafName), default: []].append((branch, outcome))
        }
        func next(_ branch: String, _ field: String?) -> (BranchDescription, ColumnSummary)? {
            let key = BranchKey(branch: branch, field: field)
            let label = "\(name) \(tree.path) \(branch) \(field ?? "")"
            guard let (description, outcome) = found[key]?.first else {
                Issue.record("\(label): not found")
                return nil
            }
            found[key]!.removeFirst()
            switch outcome {
            case .read(let summary): return (description, summary)
            case .unreadable(let error):
                Issue.record("\(label): \(error)")
                return nil
            }
        }
        for branch in tree.branches ?? [] {
            guard let (_, summary) = next(branch.branch, branch.field) else { continue }
            guard !Self.disputed.contains(where: { $0.file == name && branch.branch.contains($0.branch) }) else {
                continue
            }
            compare(branch, summary, "\(name) \(tree.path) \(branch.branch) \(branch.field ?? "")")
        }
        for text in tree.strings ?? [] {
            guard let (description, summary) = next(text.branch, text.field) else { continue }
            let label = "\(name) \(tree.path) \(text.branch) \(text.field ?? "")"
            if case .text = description.content {} else { Issue.record("\(label): not text") }
            #expect(summary.lists == text.strings, "\(label)")
            #expect(summary.valueChecksum == text.bytesChecksum, "\(label)")
            #expect(summary.offsetChecksums == text.offsetsChecksums, "\(label)")
        }
    }

    private func compare(_ expected: Expected.Branch, _ summary: ColumnSummary, _ label: String) {
        let extremes = summary.extremes
        // The reference rounds packed reals otherwise than ROOT; `packedRealsAreROOTs` compares those with ROOT.
        let isPacked = expected.interpretation.contains("AsDouble32(") || expected.interpretation.contains("AsFloat16(")
        let slack = isPacked ? 1e-6 : 0
        #expect(extremes.type.numpyName == expected.dtype, "\(label)")
        #expect(extremes.shape.levels == expected.levels.map(\.level), "\(label)")
        #expect(extremes.entries == expected.entries, "\(label)")
        #expect(extremes.values == expected.values, "\(label)")
        #expect(
            near(extremes.min?.asDouble, expected.min, slack),
            "\(label): \(String(describing: extremes.min)), \(expected.min ?? .nan)")
        #expect(
            near(extremes.max?.asDouble, expected.max, slack),
            "\(label): \(String(describing: extremes.max)), \(expected.max ?? .nan)")
        if let sum = expected.sum {
            #expect(
                abs(summary.sum - sum) <= max(1e-12, slack) * (expected.sumabs ?? 0), "\(label): \(summary.sum), \(sum)"
            )
        }
        #expect(summary.notANumber == expected.nonfinite?.nan ?? 0, "\(label)")
        #expect(summary.infinite == expected.nonfinite?.inf ?? 0, "\(label)")
        #expect(extremes.multiplicities.first == expected.maxMultiplicity, "\(label)")
        #expect(extremes.multiplicities.dropFirst().first == expected.maxMultiplicity2, "\(label)")
        #expect(summary.valuesInEntry == expected.maxValues, "\(label)")
        #expect(summary.offsetChecksums == expected.offsetsChecksums, "\(label): offsets")
        if !isPacked { #expect(summary.valueChecksum == expected.valuesChecksum, "\(label): values") }
    }

    private func near(_ found: Double?, _ expected: Double?, _ slack: Double) -> Bool {
        guard let found, let expected else { return found == nil && expected == nil }
        return abs(found - expected) <= slack * abs(expected)
    }

    private func summaries(_ name: String, _ tree: String) throws -> [String: ColumnSummary] {
        let file = try RootFile(url: Self.corpus.appending(path: "files/\(name)").path)
        let description = try file.tree(tree)
        let outcomes = TreeScan<ColumnSummary>(threads: 2).run([
            .init(file: file, tree: description, branches: description.branches)
        ])[0]
        var found: [String: ColumnSummary] = [:]
        for (branch, outcome) in zip(description.branches, outcomes) {
            if case .read(let summary) = outcome { found[branch.name] = summary }
        }
        return found
    }

    /// Checksums of what ROOT 6.40 itself (TTree::Draw) reads.
    @Test(.enabled(if: !files.isEmpty)) func packedRealsAreROOTs() throws {
        let first = try summaries("skhep__uproot-demo-double32.root", "T")
        for (name, checksum) in [
            ("d/fI32", 3_621_056_824), ("d/fI30", 4_291_630_046), ("d/fI28", 2_526_113_958), ("d/fI26", 2_400_044_760),
        ] as [(String, UInt32)] {
            #expect(first[name]?.valueChecksum == checksum, "\(name)")
        }
        let second = try summaries("skhep__uproot-double32-float16.root", "tree")
        let checksums: [(String, UInt32)] = [
            ("double32_32", 778_987_167), ("double32_30", 2_848_485_956), ("double32_20", 3_543_096_236),
            ("double32_10", 276_420_206),
            ("float16_16", 1_206_624_720), ("float16_10", 4_158_659_746), ("float16_5", 890_280_845),
            ("float16_3", 4_146_156_430),
        ]
        for (name, checksum) in checksums { #expect(second[name]?.valueChecksum == checksum, "\(name)") }
    }
}
