import CoordinatorService
import Foundation
import Testing

/// Blobs that no job names are removed when they were seen so twice, a day apart.
@Suite struct BlobRetentionTests {
    private static let day = BlobRetention.delay

    @Test func twoSightingsADayApart() {
        var retention = BlobRetention()
        #expect(retention.look(unnamed: ["a", "b"], now: 1000).isEmpty)
        #expect(retention.look(unnamed: ["a", "b"], now: 1000 + Self.day - 1).isEmpty)
        // One of them has a job for a while, which begins its delay again.
        #expect(retention.look(unnamed: ["b", "c"], now: 1000 + Self.day) == ["b"])
        #expect(retention.since == ["c": 1000 + Self.day])
        #expect(retention.look(unnamed: ["a", "c"], now: 1001 + Self.day).isEmpty)
        #expect(retention.look(unnamed: ["a", "c"], now: 1000 + 2 * Self.day) == ["c"])
    }

    @Test func aClockThatWasSetBackRemovesNothingEarly() {
        var retention = BlobRetention()
        #expect(retention.look(unnamed: ["a"], now: 9e9).isEmpty)
        #expect(retention.look(unnamed: ["a"], now: 1000).isEmpty)
        #expect(retention.since == ["a": 1000])
        #expect(retention.look(unnamed: ["a"], now: 1000 + Self.day) == ["a"])
    }

    @Test func sightingsSurviveARestart() throws {
        let directory = FileManager.default.temporaryDirectory.appending(
            path: "beamline-blobs-\(UUID().uuidString.prefix(8))")
        defer { try? FileManager.default.removeItem(at: directory) }
        let first = try BlobStore(directory)
        let (kept, lost) = (try first.put(Array("kept".utf8)), try first.put(Array("lost".utf8)))
        // As long as they are expected to be reported, they are not even noted.
        #expect(try first.sweep(named: [], now: 0) == 0)
        #expect(try first.sweep(named: [], now: 10 * Self.day) == 0)
        let second = try BlobStore(directory)
        #expect(Set(second.all) == [kept, lost])
        #expect(try second.sweep(named: [kept], now: 100) == 0)
        let third = try BlobStore(directory)
        #expect(try third.sweep(named: [kept], now: 99 + Self.day) == 0 && third.has(lost))
        #expect(try third.sweep(named: [kept], now: 100 + Self.day) == 1)
        #expect(third.all == [kept])
        // A damaged record costs no blob.
        try Data("nonsense".utf8).write(to: directory.appending(path: "unnamed.json"))
        #expect(try third.sweep(named: [], now: 200 + Self.day) == 0 && third.has(kept))
    }
}
