import Bytes
import Foundation
import RootFormat
import Storage
import Testing

/// Damaged files give errors: never a trap, never a hang.
@Suite struct HostileFileTests {
    @Test func textIsNoRootFile() throws {
        let error = #expect(throws: InputError.self) {
            try RootFile(MemorySource([UInt8](repeating: 0x61, count: 5000)))
        }
        #expect(error?.code == .badMagic)
        #expect(error?.description.contains("no ROOT file") == true)
    }

    @Test func missingFileIsNamed() {
        let error = #expect(throws: InputError.self) { try RootFile(url: "/no/such/file.root") }
        #expect(error?.code == .missing)
        #expect(error?.description.contains("/no/such/file.root") == true)
    }

    @Test(
        arguments: CorpusTests.files.filter {
            $0.contains("HZZ") || $0.contains("Higgs_data") || $0.contains("Zmumu-l")
        })
    func damagedFilesDoNotTrap(_ name: String) throws {
        let original = try Data(contentsOf: CorpusTests.corpus.appending(path: "files/\(name)"))
        var random = Seeded(seed: UInt64(name.utf8.count))
        let shortened = #expect(throws: InputError.self) {
            try readAll(MemorySource([UInt8](original.prefix(original.count / 2))))
        }
        #expect(shortened?.code == .truncated)
        for round in 0..<60 {
            var bytes = original
            for _ in 0...(round % 8) {
                // Metadata lie at both ends; half of the damage goes there.
                let span = round % 2 == 0 ? 400 : original.count
                let offset = Int(random.next() % UInt64(span))
                bytes[round % 4 == 0 ? original.count - 1 - offset : offset] = UInt8(truncatingIfNeeded: random.next())
            }
            // Any outcome but a trap or a hang will do.
            _ = try? readAll(MemorySource([UInt8](bytes)))
        }
    }

    /// A tree that announces fewer than no entries, or more than any file has, is rejected before anything is
    /// allocated for them.
    @Test(
        .enabled(if: CorpusTests.files.contains("skhep__uproot-sample-6.14.00-uncompressed.root")),
        arguments: [-1, 1 << 40] as [Int64])
    func implausibleEntriesAreRejected(_ entries: Int64) throws {
        let original = [UInt8](
            try Data(
                contentsOf: CorpusTests.corpus.appending(path: "files/skhep__uproot-sample-6.14.00-uncompressed.root")))
        let file = try RootFile(MemorySource(original))
        let key = try #require(file.treeKeys.first)
        // The tree has 30 entries; its record is stored as it is.
        let offset = try #require(
            (key.key.offset..<original.count - 8).first {
                original[$0..<$0 + 8].elementsEqual([0, 0, 0, 0, 0, 0, 0, 30])
            })
        var bytes = original
        for index in 0..<8 { bytes[offset + index] = UInt8(truncatingIfNeeded: entries >> Int64(8 * (7 - index))) }
        let error = #expect(throws: InputError.self) { try RootFile(MemorySource(bytes)).tree(key.path) }
        #expect(error?.code == .limit)
    }

    /// One decoder serves many files: what it keeps of one must not be given for another.
    @Test(.enabled(if: !CorpusTests.files.isEmpty)) func oneDecoderServesManyFiles() throws {
        let names = CorpusTests.files.filter { $0.contains("rntuple") }
        #expect(names.count > 1)
        let shared = ColumnDecoder()
        for name in names + names.reversed() {
            let file = try RootFile(url: CorpusTests.corpus.appending(path: "files/\(name)").path)
            for key in file.treeKeys {
                guard let tree = try? file.tree(key), tree.entries > 3 else { continue }
                for branch in tree.branches.prefix(40) where branch.column != nil {
                    let plan = try EntryPlan(tree: tree, branches: [branch], entries: 1..<tree.entries - 1)
                    let fetched = try file.source.read(plan.ranges)
                    let (one, other) = (
                        try shared.decode(plan, fetched).columns[0],
                        try ColumnDecoder().decode(plan, fetched).columns[0]
                    )
                    #expect(one.count == other.count)
                    #expect(
                        memcmp(one.values.pointer, other.values.pointer, one.count * one.type.size) == 0,
                        "\(name) \(branch.name)")
                }
            }
        }
    }

    private func readAll(_ source: any RangeSource) throws {
        let file = try RootFile(source)
        for key in file.treeKeys {
            let tree = try file.tree(key)
            for branch in tree.branches where branch.numbers != nil && tree.entries < 1_000_000 && tree.entries > 0 {
                let plan = try EntryPlan(tree: tree, branches: [branch], entries: 0..<tree.entries)
                _ = try? ColumnDecoder().decode(plan, source.read(plan.ranges))
            }
        }
    }

    /// A small generator with a seed (xorshift).
    struct Seeded {
        var state: UInt64
        init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
        mutating func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
    }
}
