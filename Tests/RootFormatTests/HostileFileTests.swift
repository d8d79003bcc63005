import Bytes
import Foundation
import RootFormat
import Storage
import Testing

/// Damaged files give errors: never a trap, never a hang.
@Suite struct HostileFileTests {
    /// A file in memory.
    final class Memory: RangeSource {
        let url = "memory"
        let path: String
        let inner: FileSource
        var size: Int { inner.size }

        init(_ bytes: Data) throws {
            path = FileManager.default.temporaryDirectory.appending(path: "hostile-\(UUID().uuidString)").path
            try bytes.write(to: URL(filePath: path))
            inner = try FileSource(path: path)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func read(_ ranges: [ByteRange]) throws(FormatError) -> FetchedRanges { try inner.read(ranges) }
    }

    @Test func textIsNoRootFile() throws {
        let error = #expect(throws: FormatError.self) { try RootFile(Memory(Data(repeating: 0x61, count: 5000))) }
        #expect(error?.code == .badMagic)
        #expect(error?.description.contains("no ROOT file") == true)
    }

    @Test func missingFileIsNamed() {
        let error = #expect(throws: FormatError.self) { try RootFile(url: "/no/such/file.root") }
        #expect(error?.code == .missing)
        #expect(error?.description.contains("/no/such/file.root") == true)
    }

    @Test(arguments: CorpusTests.files.filter { $0.contains("HZZ") || $0.contains("Higgs_data") || $0.contains("Zmumu-l") })
    func damagedFilesDoNotTrap(_ name: String) throws {
        let original = try Data(contentsOf: CorpusTests.corpus.appending(path: "files/\(name)"))
        var random = Seeded(seed: UInt64(name.utf8.count))
        let shortened = #expect(throws: FormatError.self) { try readAll(Memory(original.prefix(original.count / 2))) }
        #expect(shortened?.code == .truncated)
        for round in 0..<60 {
            var bytes = original
            for _ in 0...(round % 8) {
                // Metadata lie at both ends; half of the damage goes there.
                let span = round % 2 == 0 ? 400 : original.count
                let place = Int(random.next() % UInt64(span))
                bytes[round % 4 == 0 ? original.count - 1 - place : place] = UInt8(truncatingIfNeeded: random.next())
            }
            // Any outcome but a trap or a hang will do.
            _ = try? readAll(Memory(bytes))
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
