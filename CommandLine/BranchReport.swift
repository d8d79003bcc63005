import Columns
import Foundation
import Pipeline
import RootFormat

/// The statistics of one branch of numbers.
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

/// A minimum or maximum; null in JSON where the branch has no value.
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
