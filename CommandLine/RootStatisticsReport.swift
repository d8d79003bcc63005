import Bytes
import Columns
import Foundation
import Pipeline
import RootFormat

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

/// The statistics of one tree.
struct TreeStatistics: Encodable {
    var path: String
    var kind: String
    var entries: Int64 = 0
    /// Set for a cycle that a newer one of the same name replaces.
    var lowerCycle: Bool?
    var branches: [BranchReport] = []
    var strings: [TextReport] = []
    var unsupported: [UnsupportedBranch] = []
    /// Why the tree cannot be opened at all.
    var error: String?

    enum CodingKeys: String, CodingKey {
        case path, kind, entries, branches, strings, unsupported, error
        case lowerCycle = "lower_cycle"
    }

    init(_ entry: DirectoryKey, lowerCycle: Bool) {
        path = "\(entry.path);\(entry.key.cycle)"
        kind = entry.isNTuple ? "RNTuple" : "TTree"
        self.lowerCycle = lowerCycle ? true : nil
    }

    /// No branch was wanted of it.
    var isEmpty: Bool { branches.isEmpty && strings.isEmpty && unsupported.isEmpty }

    mutating func add(_ branch: BranchDescription, _ outcome: TreeScan<ColumnSummary>.Outcome) {
        switch (outcome, branch.content) {
        case (.read(let summary), .text): strings.append(TextReport(branch, summary))
        case (.read(let summary), _): branches.append(BranchReport(branch, summary))
        case (.unreadable(let error), .unsupported(let reason)):
            unsupported.append(
                UnsupportedBranch(
                    branch: branch.branchPath, field: branch.leafName, typename: branch.typeName,
                    reason: error.message == reason ? reason : "\(error)"))
        case (.unreadable(let error), _):
            unsupported.append(
                UnsupportedBranch(
                    branch: branch.branchPath, field: branch.leafName, typename: branch.typeName, reason: "\(error)"))
        }
    }

    func lines() -> [String] {
        var lines = [
            "\(path) (\(kind)): \(entries) entries, \(branches.count) branches of numbers, \(strings.count) of text, \(unsupported.count) not read"
        ]
        if let error { lines.append("  not read: \(error)") }
        let width = min(48, branches.map(\.label.count).max() ?? 0)
        if !branches.isEmpty {
            lines.append(
                "  "
                    + [
                        "branch".padded(width), "type".padded(6), "shape".padded(8), "values".padded(10, left: true),
                        "min".padded(14, left: true), "max".padded(14, left: true), "sum".padded(24, left: true),
                        "not finite".padded(10, left: true), "max".padded(6, left: true), "CRC-32",
                    ].joined(separator: " "))
        }
        for branch in branches { lines.append("  " + branch.line(width)) }
        for text in strings {
            lines.append(
                "  \(text.label.padded(width)) text   \(text.strings) strings, \(text.bytes) bytes, CRC-32 \(hex(text.bytesChecksum))"
            )
        }
        for refusal in unsupported { lines.append("  \(refusal.label.padded(width)) not read: \(refusal.reason)") }
        return lines
    }
}

struct UnsupportedBranch: Encodable {
    var branch: String
    var field: String?
    var typename: String
    var reason: String

    var label: String { branch + (field.map { "." + $0 } ?? "") }
}

/// Levels as reference files write them: a number, or "var".
struct LevelReport: Encodable {
    var level: Shape.Level

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch level {
        case .fixed(let count): try container.encode(count)
        case .varying: try container.encode("var")
        }
    }
}

struct NumberReport: Encodable {
    var number: ExactNumber?

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch number {
        case .signed(let value): try container.encode(value)
        case .unsigned(let value): try container.encode(value)
        case .real(let value): try container.encode(value)
        case nil: try container.encodeNil()
        }
    }

    var text: String {
        switch number {
        case .signed(let value): String(value)
        case .unsigned(let value): String(value)
        case .real(let value): String(format: "%.7g", value)
        case nil: "-"
        }
    }
}

struct BranchReport: Encodable {
    struct NonFinite: Encodable {
        var nan: Int64
        var inf: Int64
    }

    // The JSON keys are those of the reference files: others compare by them.
    enum CodingKeys: String, CodingKey {
        case branch, field, typename, title, unit, dtype, levels, entries, values, nonfinite, min, max, sum
        case maxMultiplicity = "max_mult"
        case maxMultiplicity2 = "max_mult2"
        case maxValues = "max_values"
        case valuesChecksum = "crc_values"
        case offsetsChecksums = "crc_offsets"
    }

    var branch: String
    var field: String?
    var typename: String
    var title: String?
    var unit: String?
    var dtype: String
    var levels: [LevelReport]
    var entries: Int64
    var values: Int64
    var nonfinite: NonFinite?
    var min: NumberReport
    var max: NumberReport
    var sum: Double?
    var maxMultiplicity: Int64
    var maxMultiplicity2: Int64?
    var maxValues: Int64
    var valuesChecksum: UInt32
    var offsetsChecksums: [UInt32]

    init(_ description: BranchDescription, _ summary: ColumnSummary) {
        let extremes = summary.extremes
        branch = description.branchPath
        field = description.leafName
        typename = description.typeName
        title = description.title.isEmpty ? nil : description.title
        unit = description.unit
        dtype = extremes.type.numpyName
        levels = extremes.shape.levels.map { LevelReport(level: $0) }
        entries = extremes.entries
        values = extremes.values
        nonfinite = extremes.type.isFloatingPoint ? NonFinite(nan: summary.notANumber, inf: summary.infinite) : nil
        min = NumberReport(number: extremes.min)
        max = NumberReport(number: extremes.max)
        sum = summary.sum.isFinite ? summary.sum : nil
        maxMultiplicity = extremes.multiplicities[0]
        maxMultiplicity2 = extremes.multiplicities.count > 1 ? extremes.multiplicities[1] : nil
        maxValues = summary.valuesInEntry
        valuesChecksum = summary.valueChecksum
        offsetsChecksums = summary.offsetChecksums
    }

    var label: String { branch + (field.map { "." + $0 } ?? "") }

    func line(_ width: Int) -> String {
        let shape = levels.isEmpty ? "flat" : Shape(levels.map(\.level)).description
        let bad = (nonfinite?.nan ?? 0) + (nonfinite?.inf ?? 0)
        let checksums = ([valuesChecksum] + offsetsChecksums).map(hex).joined(separator: " ")
        return [
            label.padded(width), dtype.padded(6), shape.padded(8), String(values).padded(10, left: true),
            min.text.padded(14, left: true),
            max.text.padded(14, left: true), (sum.map { String(format: "%.17g", $0) } ?? "-").padded(24, left: true),
            String(bad).padded(10, left: true),
            String(maxMultiplicity).padded(6, left: true), checksums,
        ].joined(separator: " ")
    }
}

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

private func hex(_ value: UInt32) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
}

extension String {
    fileprivate func padded(_ width: Int, left: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - count))
        return left ? space + self : self + space
    }
}
