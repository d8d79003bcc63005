import ArgumentParser
import Bytes
import Columns
import Foundation
import RootFormat
import Storage

/// `beamline inspect`: what a ROOT file holds.
struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the trees and branches of a ROOT file.",
        discussion: """
            Examples:
              beamline inspect data/ttbar.root
              beamline inspect root://localhost:21094//store/tth/tth_1.root --tree events --json
            """)

    @Argument(help: "A local path, or a root:// or http(s):// URL.")
    var url: String

    @Option(help: "Only this tree (directory/name).")
    var tree: String?

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let file = try RootFile(url: url)
        let keys = tree.map { name in file.treeKeys.filter { $0.path == name } } ?? file.treeKeys
        if let tree, keys.isEmpty { _ = try file.tree(tree) }
        let reports = try keys.map { TreeReport(try file.tree($0), isNTuple: $0.isNTuple) }
        let report = FileReport(
            url: url, bytes: file.source.size, compression: compressionName(file.header.compression), trees: reports
        )
        print(json ? try report.json() : report.text())
    }
}

/// ROOT's word for a file's compression setting: 100 x algorithm + level.
func compressionName(_ setting: Int) -> String {
    guard setting > 0 else { return "none" }
    let names = ["zlib", "zlib", "lzma", "old", "lz4", "zstd"]
    let algorithm = setting / 100
    return (algorithm < names.count ? names[algorithm] : "algorithm \(algorithm)") + " level \(setting % 100)"
}

private struct FileReport: Encodable {
    var url: String
    var bytes: Int
    var compression: String
    var trees: [TreeReport]

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    func text() -> String {
        var lines = ["\(url): \(bytes) bytes, \(compression), \(trees.count) tree\(trees.count == 1 ? "" : "s")"]
        for tree in trees { lines += tree.lines() }
        return lines.joined(separator: "\n")
    }
}

private struct TreeReport: Encodable {
    struct Branch: Encodable {
        var name: String
        var type: String
        var shape: String
        var title: String?
        var unit: String?
        var counter: String?
        var reason: String?
        var compressedBytes: Int64
        var uncompressedBytes: Int64
        var baskets: Int
    }

    /// Jagged branches that one counter counts: an item of each belongs together.
    struct Group: Encodable {
        var counter: String
        /// What their names begin with: `Jet_*`.
        var pattern: String
        var branches: [String]
    }

    struct Friend: Encodable {
        var name: String
        var tree: String
        var file: String
    }

    var path: String
    var kind: String
    var entries: Int64
    var compressedBytes: Int64
    var uncompressedBytes: Int64
    var clusters: Int
    var branches: [Branch]
    var groups: [Group]
    var friends: [Friend]

    private static func shape(_ branch: BranchDescription) -> String {
        switch branch.content {
        case .numbers(_, let shape): shape.description
        case .text: "text"
        case .unsupported: "unsupported"
        }
    }

    private static func groups(_ tree: TreeDescription) -> [Group] {
        var order: [String] = []
        var members: [String: [String]] = [:]
        for branch in tree.branches {
            guard let counter = branch.counter, branch.numbers != nil else { continue }
            if members[counter] == nil { order.append(counter) }
            members[counter, default: []].append(branch.name)
        }
        return order.filter { members[$0]!.count > 1 }.map { counter in
            let names = members[counter]!
            // An RNTuple has its collections' members once more under the collection's own name.
            let plain = names.filter { !$0.contains(".") }
            let named = plain.isEmpty ? names : plain
            let prefix = named.dropFirst().reduce(named[0]) { $0.commonPrefix(with: $1) }
            return Group(counter: counter, pattern: prefix + "*", branches: names)
        }
    }

    init(_ tree: TreeDescription, isNTuple: Bool) {
        path = tree.path
        kind = isNTuple ? "RNTuple" : "TTree"
        groups = Self.groups(tree)
        friends = tree.friends.map { Friend(name: $0.name, tree: $0.tree, file: $0.file) }
        entries = tree.entries
        compressedBytes = tree.compressedBytes
        uncompressedBytes = tree.uncompressedBytes
        clusters = max(0, tree.clusterBoundaries.count - 1)
        branches = tree.branches.map { branch in
            Branch(
                name: branch.name, type: branch.typeName, shape: Self.shape(branch),
                title: branch.title.isEmpty ? nil : branch.title,
                unit: branch.unit, counter: branch.counter, reason: branch.unsupportedReason,
                compressedBytes: branch.compressedBytes,
                uncompressedBytes: branch.uncompressedBytes, baskets: branch.basketCount)
        }
    }

    func lines() -> [String] {
        var lines = [
            "",
            "\(path) (\(kind)): \(entries) entries, \(branches.count) branches, "
                + "\(clusters) cluster\(clusters == 1 ? "" : "s"), "
                + "\(compressedBytes) bytes compressed, \(uncompressedBytes) uncompressed",
        ]
        let width = min(60, branches.map(\.name.count).max() ?? 0)
        for branch in branches {
            let name = branch.name.padding(toLength: max(width, branch.name.count), withPad: " ", startingAt: 0)
            var detail =
                branch.type.padding(toLength: max(8, branch.type.count), withPad: " ", startingAt: 0) + " "
                + branch.shape
            if let unit = branch.unit { detail += " [\(unit)]" }
            if let counter = branch.counter { detail += " by \(counter)" }
            if let reason = branch.reason { detail += ": \(reason)" }
            lines.append("  \(name)  \(detail)")
        }
        for group in groups {
            lines.append("  group \(group.pattern): \(group.branches.count) branches counted by \(group.counter)")
        }
        for friend in friends {
            lines.append(
                "  friend \(friend.name): the tree \(friend.tree) of \(friend.file.isEmpty ? "this file" : friend.file)"
            )
        }
        return lines
    }
}
