import Bytes
import Pipeline
import RootFormat

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

    /// No branch of it was read.
    var isUnread: Bool { branches.isEmpty && strings.isEmpty }

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
            "\(path) (\(kind)): \(entries) entries, \(branches.count) branches of numbers, "
                + "\(strings.count) of text, \(unsupported.count) not read"
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
                "  \(text.label.padded(width)) text   \(text.strings) strings, \(text.bytes) bytes, "
                    + "CRC-32 \(hex(text.bytesChecksum))")
        }
        for branch in unsupported { lines.append("  \(branch.label.padded(width)) not read: \(branch.reason)") }
        return lines
    }
}

/// A branch that was not read, and why.
struct UnsupportedBranch: Encodable {
    var branch: String
    var field: String?
    var typename: String
    var reason: String

    var label: String { branch + (field.map { "." + $0 } ?? "") }
}
