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

    @Argument(help: "A local path or a root:// URL.")
    var url: String

    @Option(help: "Only this tree (directory/name).")
    var tree: String?

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        try reportingErrors {
            let file = try RootFile(url: url)
            let keys = tree.map { name in file.treeKeys.filter { $0.path == name } } ?? file.treeKeys
            if let tree, keys.isEmpty { _ = try file.tree(tree) }
            let reports = try keys.map { TreeReport(try file.tree($0)) }
            let report = FileReport(url: url, bytes: file.source.size, compression: compressionName(file.header.compression), trees: reports)
            print(json ? try report.json() : report.text())
        }
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
        var counter: String?
        var reason: String?
        var compressedBytes: Int64
        var uncompressedBytes: Int64
        var baskets: Int
    }

    var path: String
    var entries: Int64
    var compressedBytes: Int64
    var uncompressedBytes: Int64
    var clusters: Int
    var branches: [Branch]

    init(_ tree: TreeDescription) {
        path = tree.path
        entries = tree.entries
        compressedBytes = tree.compressedBytes
        uncompressedBytes = tree.uncompressedBytes
        clusters = max(0, tree.clusterBoundaries.count - 1)
        branches = tree.branches.map { branch in
            Branch(
                name: branch.name, type: branch.typeName, shape: branch.numbers?.shape.description ?? "unsupported",
                counter: branch.counter, reason: branch.unsupportedReason, compressedBytes: branch.compressedBytes,
                uncompressedBytes: branch.uncompressedBytes, baskets: branch.basketCount)
        }
    }

    func lines() -> [String] {
        var lines = [
            "", "\(path): \(entries) entries, \(branches.count) branches, \(clusters) cluster\(clusters == 1 ? "" : "s"), "
                + "\(compressedBytes) bytes compressed, \(uncompressedBytes) uncompressed",
        ]
        let width = min(60, branches.map(\.name.count).max() ?? 0)
        for branch in branches {
            let name = branch.name.padding(toLength: max(width, branch.name.count), withPad: " ", startingAt: 0)
            var detail = branch.type.padding(toLength: max(8, branch.type.count), withPad: " ", startingAt: 0) + " " + branch.shape
            if let counter = branch.counter { detail += " by \(counter)" }
            if let reason = branch.reason { detail += ": \(reason)" }
            lines.append("  \(name)  \(detail)")
        }
        return lines
    }
}
