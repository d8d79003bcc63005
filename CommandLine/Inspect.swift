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
        let reports = keys.map { TreeReport($0, in: file) }
        let report = FileReport(
            url: url, bytes: file.source.size, compression: Self.compression(file, reports), trees: reports)
        print(json ? try report.json() : report.text())
        if reports.contains(where: { $0.error != nil }) { throw ExitStatus.rejected }
    }

    /// How the trees' data are compressed; the level is known of a file whose setting is the same.
    private static func compression(_ file: RootFile, _ trees: [TreeReport]) -> String {
        let setting = compressionName(file.header.compression)
        var methods = Set(trees.flatMap(\.compression))
        // Records that do not become smaller are stored as they are.
        if methods.count > 1 { methods.remove("none") }
        let found = methods.sorted()
        guard !found.isEmpty, found != [String(setting.prefix { $0 != " " })] else { return setting }
        return "\(found.joined(separator: ", ")) (the file's setting is \(setting))"
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
    /// The methods by which its data are compressed.
    var compression: [String]
    var branches: [Branch]
    var groups: [Group]
    var friends: [Friend]
    /// Why the tree cannot be opened.
    var error: String?

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

    /// Describes the tree of a key, or states why it cannot be opened.
    init(_ key: DirectoryKey, in file: RootFile) {
        let opened = Result { try file.tree(key) }
        if case .failure(let reason) = opened { error = "\(reason)" }
        let tree = try? opened.get()
        path = key.path
        kind = key.isNTuple ? "RNTuple" : "TTree"
        compression = tree.flatMap { try? file.compression(of: $0) } ?? []
        groups = tree.map(Self.groups) ?? []
        friends = tree?.friends.map { Friend(name: $0.name, tree: $0.tree, file: $0.file) } ?? []
        entries = tree?.entries ?? 0
        compressedBytes = tree?.compressedBytes ?? 0
        uncompressedBytes = tree?.uncompressedBytes ?? 0
        clusters = max(0, (tree?.clusterBoundaries.count ?? 0) - 1)
        branches = (tree?.branches ?? []).map { branch in
            Branch(
                name: branch.name, type: branch.typeName, shape: Self.shape(branch),
                title: branch.title.isEmpty ? nil : branch.title,
                unit: branch.unit, counter: branch.counter, reason: branch.unsupportedReason,
                compressedBytes: branch.compressedBytes,
                uncompressedBytes: branch.uncompressedBytes, baskets: branch.basketCount)
        }
    }

    func lines() -> [String] {
        if let error { return ["", "\(path) (\(kind)): not read: \(error)"] }
        var lines = [
            "",
            "\(path) (\(kind)): \(entries) entries, \(branches.count) branches, "
                + "\(clusters) cluster\(clusters == 1 ? "" : "s"), "
                + "\(compressedBytes) bytes compressed"
                + (compression.isEmpty ? "" : " (\(compression.joined(separator: ", ")))")
                + ", \(uncompressedBytes) uncompressed",
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
