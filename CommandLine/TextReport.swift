import Columns
import Pipeline
import RootFormat

/// The statistics of one branch of text.
struct TextReport: Encodable {
    enum CodingKeys: String, CodingKey {
        case branch, field, typename, levels, entries, strings, bytes
        case bytesChecksum = "crc_bytes"
        case offsetsChecksums = "crc_offsets"
    }

    var branch: String
    var field: String?
    var typename: String
    var levels: [LevelReport]
    var entries: Int64
    var strings: Int64
    var bytes: Int64
    var bytesChecksum: UInt32
    var offsetsChecksums: [UInt32]

    init(_ description: BranchDescription, _ summary: ColumnSummary) {
        branch = description.branchPath
        field = description.leafName
        typename = description.typeName
        levels = summary.extremes.shape.levels.dropLast().map { LevelReport(level: $0) }
        entries = summary.extremes.entries
        strings = summary.lists
        bytes = summary.extremes.values
        bytesChecksum = summary.valueChecksum
        offsetsChecksums = summary.offsetChecksums
    }

    var label: String { branch + (field.map { "." + $0 } ?? "") }
}
