import Foundation
import Serving
import Testing

@Suite struct VersionIndexTests {
    private static let digest = String(repeating: "0a", count: 32)

    private func decode(_ models: String) throws -> VersionIndex {
        try JSONDecoder().decode(VersionIndex.self, from: Data(#"{"format": 1, "models": [\#(models)]}"#.utf8))
    }

    private func entry(_ name: String, _ version: String, _ last: String, _ digest: String = digest) -> String {
        #"{"name": "\#(name)", "version": \#(version), "lastNumber": \#(last), "digest": "\#(digest)"}"#
    }

    @Test func whatIsWrittenIsRead() throws {
        let index = VersionIndex().serving("m", version: 3, digest: Self.digest)
            .serving("a", version: 1, digest: Self.digest).serving("m", version: 5, digest: Self.digest)
        #expect(try JSONDecoder().decode(VersionIndex.self, from: JSONEncoder().encode(index)) == index)
        #expect(index.models.map(\.name) == ["a", "m"] && index.models[1].lastNumber == 5)
    }

    @Test func whatIsImpossibleIsNotRead() throws {
        _ = try decode(entry("m", "2", "7"))
        for models in [
            entry("m", "0", "7"), entry("m", "8", "7"), entry("m", "1", "\(Int64.max)"), entry("m", "1", "2", "../x"),
            entry("m", "1", "2", Self.digest.uppercased()), entry("m", "1", "2") + "," + entry("m", "2", "2"),
        ] { #expect(throws: DecodingError.self, "\(models)") { try decode(models) } }
    }

    @Test func aBudgetIsNotExceeded() {
        var budget = MemoryBudget(total: 100)
        #expect(
            [60, 41, .max, -1, 40, 1, 0].map { budget.reserve($0) } == [true, false, false, false, true, false, true])
        budget.release(60)
        #expect(budget.free == 60 && budget.reserve(60) && budget.free == 0)
        #expect(MemoryBudget(total: -5).free == 0)
    }
}
