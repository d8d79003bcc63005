import Cluster
import Foundation
import Scheduling
import Testing

@Suite struct IdentifierTests {
    private struct Coded: Codable, Equatable {
        var job: JobID
        var token: Token?
        var rounds: [RoundNumber]
    }

    /// Ledger, wire and REST interface have bare numbers.
    @Test func identifiersAreCodedAsNumbers() throws {
        let value = Coded(job: JobID(3), token: Token(1 << 36 + 1), rounds: [RoundNumber(1), RoundNumber(2)])
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let text = String(decoding: try encoder.encode(value), as: UTF8.self)
        #expect(text == #"{"job":3,"rounds":[1,2],"token":68719476737}"#)
        #expect(try JSONDecoder().decode(Coded.self, from: Data(text.utf8)) == value)
        #expect("\(value.job)" == "3" && JobID(text: "12") == JobID(12) && JobID(text: "1x") == nil)
        #expect(Token(7) < Token(8) && Token(7).next == Token(8))
    }

    @Test func unitsAreKeysOfAMap() {
        var map = IntegerMap<UnitID, Int>()
        for index in 0..<50 {
            map[.pattern(index)] = index
            map[.file(FileID(index))] = 100 + index
        }
        #expect(
            map.count == 100 && (0..<50).allSatisfy { map[.pattern($0)] == $0 && map[.file(FileID($0))] == 100 + $0 })
        #expect(Set(map.sortedKeys).count == 100)
    }
}
