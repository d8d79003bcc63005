import Foundation

/// What `root stats --json` prints.
struct FileStatistics: Encodable {
    var file: String
    var bytes: Int
    var trees: [TreeStatistics]

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
