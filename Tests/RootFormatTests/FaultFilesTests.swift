import Bytes
import Cluster
import Columns
import Foundation
import Pipeline
import RootFormat
import Storage
import Testing

/// Files in which the reader was wrong once, with what ROOT reads.
@Suite struct FaultFilesTests {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../../shared/faults").standardizedFileURL

    static var files: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        if names.isEmpty { print("skipped: no reference files at ../shared/faults") }
        return names.filter { $0.hasSuffix(".root") }.sorted()
    }

    /// What a branch holds; extremes where they are known.
    struct Held: Sendable, CustomTestStringConvertible {
        var file: String
        var branch: String
        var values: Int64
        var sum: Double
        var extremes: ClosedRange<Double>?

        init(_ file: String, _ branch: String, _ values: Int64, _ sum: Double, _ extremes: ClosedRange<Double>? = nil) {
            (self.file, self.branch, self.values, self.sum, self.extremes) = (file, branch, values, sum, extremes)
        }

        var testDescription: String { "\(file) \(branch)" }
    }

    static let held = [
        // Objects whose first member has a header, or bits like one's.
        Held("unsplit_first_vector", "b.x", 24, 296, 1...23.5), Held("unsplit_first_vector", "b.n", 25, 300),
        Held("unsplit_first_number_two", "p.pt", 4, 9, 1.5...3), Held("unsplit_first_number_two", "p.eta", 4, 0.6),
        Held("unsplit_first_number_two", "p.charge", 4, 6, 0...3),
        Held("unsplit-own-ROOT", "hb.a.i", 20, 190), Held("unsplit-own-ROOT", "hb.a.f", 20, 195),
        Held("unsplit-own-ROOT", "hb.k", 20, 380), Held("unsplit-own-ROOT", "hc.v", 19, 190),
        Held("unsplit-own-ROOT", "hc.k", 20, 570), Held("unsplit-own-ROOT", "hd.i", 20, 190),
        Held("unsplit-own-ROOT", "hd.f", 20, 205), Held("unsplit-own-ROOT", "hd.k", 20, 760),
        Held("unsplit-own-ROOT", "hh.k", 20, 1330),
        Held("unsplit-base-first__gohep-tbase", "d1.I32", 2, 3, 1...2),
        Held("unsplit-base-first__gohep-tbase", "d1.D32", 2, 5, 2...3),
        Held("unsplit-base-first__gohep-tbase", "d2.Base::I32", 2, 7, 3...4),
        Held("unsplit-base-first__gohep-tbase", "d2.I32", 2, 9, 4...5),
        // Member-wise collections in others, and with entries of no items.
        Held("nested_memberwise_in_split", "b/b.in.k", 36, 444_252, 1000...23020),
        Held("empty_memberwise_unsplit", "b.in.k", 36, 444_252, 1000...23020),
        Held("empty_map_string_float", "b.1", 36, 456, 1...24),
        Held("map-in-vector__uprootcustom", inVector("simple_object", "m_map_int_double.0"), 90, 180),
        Held("map-in-vector__uprootcustom", inVector("simple_object", "m_map_int_double.1"), 90, 180),
        Held("map-in-vector__uprootcustom", inVector("cstyle_array", "m_map_int_double[3].1"), 180, 630),
        Held("map-in-vector__uprootcustom", inVector("stl_array", "m_arr_vec_int[3]"), 270, 1350),
        // Arrays of collections, a TClonesArray, doubles of fewer bits.
        Held("std-array-of-stl__uprootcustom", "branch/m_arr_vec_int[3]", 90, 450, 1...9),
        Held("std-array-of-stl__uprootcustom", "branch/m_arr_map_int_double[3].0", 60, 210, 1...6),
        Held("tclonesarray-unsplit-own-ROOT", "p4.fE", 30, 3120),
        Held("tclonesarray-unsplit-own-ROOT", "p4.fP.fX", 30, 330),
    ]

    /// The name of a branch for a member of a vector's items.
    private static func inVector(_ vector: String, _ member: String) -> String {
        "branch/m_vec_\(vector)/m_vec_\(vector).\(member)"
    }

    private func open(_ name: String) throws -> RootFile {
        try RootFile(url: Self.folder.appending(path: "\(name).root").path)
    }

    private func outcomes(
        _ file: RootFile, _ path: String
    ) throws -> [(branch: BranchDescription, outcome: TreeScan<ColumnSummary>.Outcome)] {
        let tree = try file.tree(path)
        let scan = TreeScan<ColumnSummary>(threads: 1)
        return zip(tree.branches, scan.run([.init(file: file, tree: tree, branches: tree.branches)])[0])
            .map { (branch: $0, outcome: $1) }
    }

    @Test(.enabled(if: !files.isEmpty), arguments: held) func agreesWithROOT(_ held: Held) throws {
        let file = try open(held.file)
        let found = try outcomes(file, #require(file.treeKeys.first).path).first { $0.branch.name == held.branch }
        guard case .read(let summary) = try #require(found).outcome else {
            Issue.record("\(held.file) \(held.branch): \(found as Any)")
            return
        }
        #expect(summary.extremes.values == held.values)
        #expect(abs(summary.sum - held.sum) <= 1e-6)
        if let extremes = held.extremes {
            #expect(summary.extremes.min?.asDouble == extremes.lowerBound)
            #expect(summary.extremes.max?.asDouble == extremes.upperBound)
        }
    }

    /// Not one branch of these is left out.
    @Test(
        .enabled(if: !files.isEmpty),
        arguments: [
            "empty_map_string_float", "empty_memberwise_unsplit", "map-in-vector__uprootcustom",
            "nested_memberwise_in_split", "std-array-of-stl__uprootcustom", "tclonesarray-unsplit-own-ROOT",
            "unsplit-base-first__gohep-tbase", "unsplit-own-ROOT", "unsplit_first_number_two", "unsplit_first_vector",
        ])
    func everyBranchIsRead(_ name: String) throws {
        let file = try open(name)
        let all = try outcomes(file, #require(file.treeKeys.first).path)
        #expect(!all.isEmpty)
        for case (let branch, .unreadable(let error)) in all { Issue.record("\(branch.name): \(error)") }
    }

    @Test(.enabled(if: !files.isEmpty)) func aQuantisedDoubleKeepsItsDigits() throws {
        let file = try open("rntuple_double_quantised")
        let all = try outcomes(file, #require(file.treeKeys.first).path)
        guard case .read(let summary) = try #require(all.first { $0.branch.name == "dq" }).outcome else {
            Issue.record("dq is not read")
            return
        }
        #expect(summary.extremes.type == .float64 && summary.extremes.min == .real(0.008201606942755645))
    }

    /// What a class wrote in its own way is named as that, and its neighbours are read.
    @Test(.enabled(if: !files.isEmpty)) func aStreamerOfItsOwnIsNamed() throws {
        let file = try open("job_dies_on_one_branch")
        var rejected = 0
        var read = 0
        for (branch, outcome) in try outcomes(file, "KM3NET_EVENT") {
            switch outcome {
            case .read: read += 1
            case .unreadable(let error):
                rejected += 1
                #expect(error.message.contains("has a Streamer of its own"), "\(branch.name): \(error)")
            }
        }
        #expect(rejected > 0 && read > 0)
        // Pointers to objects that another member counts, in a class whose streamer ROOT wrote.
        let hits = try file.tree("KM3NET_TIMESLICE").branches.filter { $0.name.contains("buffer.") }
        #expect(hits.count == 3 && hits.allSatisfy { $0.unsupportedReason == nil }, "\(hits.map(\.name))")
    }

    /// Damage anywhere gives errors or other values, never a trap or a hang.
    @Test(.enabled(if: !files.isEmpty), arguments: files) func damageDoesNotTrap(_ name: String) throws {
        let original = [UInt8](try Data(contentsOf: Self.folder.appending(path: name)))
        var random = HostileFileTests.Seeded(seed: UInt64(original.count))
        for _ in 0..<(original.count > 20_000 ? 20 : 150) {
            var bytes = original
            for _ in 0..<4 {
                let offset = Int(random.next() % UInt64(bytes.count))
                bytes[offset] = random.next() % 2 == 0 ? 0x40 : UInt8(truncatingIfNeeded: random.next())
            }
            guard let file = try? RootFile(MemorySource(bytes)) else { continue }
            for key in file.treeKeys {
                guard let tree = try? file.tree(key), tree.entries < 100_000 else { continue }
                let scan = TreeScan<ColumnSummary>(threads: 1)
                _ = scan.run([.init(file: file, tree: tree, branches: tree.branches)])
                _ = try? file.compression(of: tree)
            }
        }
    }

    /// A class that is a collection of its own, or holds itself, is listed once.
    @Test(.enabled(if: CorpusTests.files.contains("coffea__PHYSLITE_example.root"))) func recursionIsListedOnce() throws
    {
        let path = CorpusTests.corpus.appending(path: "files/coffea__PHYSLITE_example.root").path
        let tree = try RootFile(url: path).tree("CollectionTree")
        let branches = tree.branches
        #expect(branches.allSatisfy { tree.branch($0.name)?.branchPath == $0.branchPath })
        #expect(tree.branch("AnalysisJets.This") == nil)
        #expect(!branches.contains { $0.name.contains("This.This") })
        let jets = branches.filter { $0.branchPath == "AnalysisJets" }
        #expect(jets.count == 1)
        #expect(jets.first?.unsupportedReason?.contains("is a collection of a class of its own") == true, "\(jets)")
        let rejected = branches.filter { $0.unsupportedReason?.contains("a class of its own") == true }
        #expect(Set(rejected.map(\.name)).count == rejected.count)
    }

    /// The file's own setting is zlib for the first of these.
    @Test(
        .enabled(if: CorpusTests.files.contains("skhep__uproot-HZZ-objects.root")),
        arguments: [
            ("HZZ-objects", "lz4"), ("HZZ-zlib", "zlib"), ("HZZ-lzma", "lzma"), ("HZZ-zstd", "zstd"),
            ("HZZ-uncompressed", "none"), ("Zmumu-zlib", "zlib"),
        ])
    func compressionIsThatOfTheBaskets(_ name: String, _ method: String) throws {
        let file = try RootFile(url: CorpusTests.corpus.appending(path: "files/skhep__uproot-\(name).root").path)
        let found = try file.compression(of: file.tree(#require(file.treeKeys.first)))
        #expect(found.contains(method) && found.allSatisfy { $0 == method || $0 == "none" }, "\(found)")
    }

    /// A tree that declares more entries than its branches hold is rejected when it is surveyed: nothing is planned for
    /// billions of entries that are not there.
    @Test(.enabled(if: CorpusTests.files.contains("skhep__uproot-sample-6.14.00-uncompressed.root")))
    func entriesThatNoBranchHoldsAreRejected() throws {
        var bytes = [UInt8](
            try Data(
                contentsOf: CorpusTests.corpus.appending(path: "files/skhep__uproot-sample-6.14.00-uncompressed.root")))
        let key = try #require(try RootFile(MemorySource(bytes)).treeKeys.first)
        try RootFile(MemorySource(bytes)).tree(key.path).checkEntries()
        // The tree has 30 entries; its record is stored as it is.
        let offset = try #require(
            (key.key.offset..<bytes.count - 8).first { bytes[$0..<$0 + 8].elementsEqual([0, 0, 0, 0, 0, 0, 0, 30]) })
        bytes.replaceSubrange(offset..<offset + 8, with: [0, 0, 0, 7, 0xFF, 0xFF, 0xFF, 0xFF])
        let tree = try RootFile(MemorySource(bytes)).tree(key.path)
        #expect(tree.entries == (1 << 35) - 1)
        #expect(throws: InputError.self) { try tree.checkEntries() }

        let folder = FileManager.default.temporaryDirectory.appending(path: "beamline-entries-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let path = folder.appending(path: "long.root").path
        try Data(bytes).write(to: URL(filePath: path))
        let reader = BlockReader(ReadResources(threads: 1), localRoots: [folder.path])
        let error = #expect(throws: InputError.self) {
            try reader.survey(FileReplicas(path), tree: key.path, verify: false)
        }
        #expect(error?.message.contains("more entries than its branches hold") == true, "\(error as Any)")
        #expect(error?.found == "34359738367" && error?.expected == "at most 30")
    }
}
