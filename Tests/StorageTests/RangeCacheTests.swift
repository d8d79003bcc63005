import Bytes
import Cluster
import Foundation
import Storage
import Testing

@Suite struct RangeCacheTests {
    private final class Folder: Sendable {
        let path = FileManager.default.temporaryDirectory.appending(path: "beamline-cache-\(UUID().uuidString)").path
        deinit { try? FileManager.default.removeItem(atPath: path) }

        var files: [String] {
            (FileManager.default.enumerator(atPath: path)?.allObjects as? [String] ?? []).filter {
                $0.hasSuffix(".blocks")
            }.map { "\(path)/\($0)" }
        }
        var bytes: Int {
            files.reduce(0) { $0 + ((try? FileManager.default.attributesOfItem(atPath: $1)[.size] as? Int) ?? 0) }
        }
    }

    private static let content = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }
    private let ranges = (0..<100).map { ByteRange(offset: $0 * 29_000, length: 1000 + 13 * $0) }

    /// Reads through the replicated source, as a worker does.
    /// - Returns: the bytes that came from the file itself.
    private func read(
        _ folder: Folder, _ file: String, identity: String = "one", bytes: Int = 64 << 20, _ ranges: [ByteRange]
    ) throws -> Int {
        var catalog = SiteCatalog()
        catalog.cache = .init(directory: folder.path, bytes: bytes)
        let source = ReplicatedSource(FileReplicas(file), board: SiteBoard(catalog), identity: identity) { _ in identity
        }
        try source.open()
        let fetched = try source.read(ranges)
        for (index, range) in ranges.enumerated() {
            #expect(fetched.bytes(index) == Array(Self.content[range.offset..<range.end]))
        }
        return fetched.transferred
    }

    private func withFile(_ body: (String) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "beamline-\(UUID().uuidString)").path
        try Data(Self.content).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    @Test func whatWasReadOnceIsNotFetchedAgain() throws {
        try withFile { (file) throws in
            let folder = Folder()
            let all = ranges.reduce(0) { $0 + $1.length }
            #expect(try read(folder, file, ranges) == all)
            // By another process it would be the same: nothing but the directory is shared here.
            #expect(try read(folder, file, ranges) == 0)
            #expect(try read(folder, file, Array(ranges.reversed()) + [ByteRange(offset: 5, length: 7)]) == 7)
            // Another content's bytes are never taken.
            #expect(try read(folder, file, identity: "two", ranges) == all)
        }
    }

    @Test func tornAndDamagedRecordsAreNotServed() throws {
        try withFile { (file) throws in
            let folder = Folder()
            _ = try read(folder, file, ranges)
            let path = try #require(folder.files.first)
            let whole = try Data(contentsOf: URL(filePath: path))
            var random = SeededRandom(seed: 4)
            for round in 0..<60 {
                var bytes = whole
                // A crash cuts the end off; a bad disk changes a byte.
                if round % 2 == 0 {
                    bytes = bytes.prefix(random.below(whole.count))
                } else {
                    bytes[random.below(whole.count)] ^= 0x10
                }
                try bytes.write(to: URL(filePath: path))
                #expect(try read(folder, file, ranges) > 0)
                // What was missing is there again: at the next look at the latest.
                _ = try read(folder, file, ranges)
                #expect(try read(folder, file, ranges) == 0)
            }
        }
    }

    @Test func itStaysWithinItsBytes() throws {
        try withFile { (file) throws in
            let folder = Folder()
            for number in 0..<60 {
                _ = try read(folder, file, identity: "file \(number)", bytes: 4 << 20, ranges)
                #expect(folder.bytes <= (4 << 20) + (1 << 20))
            }
            #expect(folder.bytes > 1 << 20)
            // The last used are there.
            #expect(try read(folder, file, identity: "file 59", bytes: 4 << 20, ranges) == 0)
        }
    }

    @Test func manyMayShareIt() throws {
        try withFile { (file) throws in
            let folder = Folder()
            DispatchQueue.concurrentPerform(iterations: 8) { thread in
                for round in 0..<10 { _ = try? read(folder, file, identity: "file \((thread + round) % 3)", ranges) }
            }
            for number in 0..<3 { _ = try read(folder, file, identity: "file \(number)", ranges) }
            for number in 0..<3 { #expect(try read(folder, file, identity: "file \(number)", ranges) == 0) }
        }
    }

    @Test func aDirectoryThatCannotBeUsedIsReportedAndDoneWithout() throws {
        try withFile { (file) throws in
            var catalog = SiteCatalog()
            catalog.cache = .init(directory: "/proc/no/such", bytes: 1 << 30)
            let board = SiteBoard(catalog)
            #expect(board.cacheFailure?.description.contains("/proc/no/such") == true)
            let source = ReplicatedSource(FileReplicas(file), board: board, identity: "one") { _ in "one" }
            try source.open()
            #expect(try source.read(ranges).transferred > 0)
        }
    }
}
