import ArgumentParser
import Bytes
import Cluster
import Foundation
import Pipeline
import RootFormat
import Storage

/// `beamline root stats`: what every branch of a file holds, to compare two copies of a data set.
struct RootStatistics: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats", abstract: "Reads every branch and prints its extremes, sum and checksums.",
        discussion: """
            For each numeric branch: entries, values, minimum, maximum, sum, values that are not finite, the largest \
            multiplicities, and the
            CRC-32 of the values (little-endian) and of their 64-bit offsets. Two copies of a data set that print the \
            same are the same,
            whatever their compression, baskets or container (TTree or RNTuple). What cannot be read is listed with \
            its reason; the
            exit code is 4 where a tree cannot be opened, or no branch at all can be read.

            Examples:
              beamline root stats data/ttbar.root
              beamline root stats root://localhost:21094//store/tth/tth_1.root --tree events --branches 'Jet_*' --json
            """)

    @Argument(help: "A local path, or a root:// or http(s):// URL.")
    var url: String

    @Option(
        help: "Only this tree (directory/name, or directory/name;cycle). Without it, every tree of every directory.")
    var tree: String?

    @Option(help: "Only branches whose name fits this pattern (* and ?).")
    var branches: String?

    @Option(help: "Threads to read with.")
    var threads: Int = ProcessInfo.processInfo.activeProcessorCount

    @Flag(help: "Print JSON, with the older cycles of trees as well.")
    var json = false

    func validate() throws {
        if threads < 1 || threads > 1024 { throw ValidationError("--threads must be from 1 to 1024") }
    }

    func run() throws {
        let file = try RootFile(url: url)
        var reports: [TreeStatistics] = []
        for entry in try wanted(file) { reports.append(statistics(entry, file)) }
        if let branches, !reports.isEmpty, reports.allSatisfy({ $0.error == nil && $0.isEmpty }) {
            throw InputError(
                .missing, "no branch fits the pattern", file: url, expected: branches,
                found: "other names in \(reports.map(\.path).joined(separator: ", "))",
                hint: "beamline inspect lists the branches.")
        }
        if json {
            print(try FileStatistics(file: url, bytes: file.source.size, trees: reports).json())
        } else {
            for report in reports { print(report.lines().joined(separator: "\n")) }
        }
        // A script that compares copies must not take it for success that nothing was read.
        let nothingRead = reports.allSatisfy(\.isUnread) && reports.contains { !$0.isEmpty }
        if nothingRead || reports.contains(where: { $0.error != nil }) { throw ExitStatus.rejected }
    }

    private func wanted(_ file: RootFile) throws -> [DirectoryKey] {
        let keys = json || tree?.contains(";") == true ? file.allTreeKeys : file.treeKeys
        guard let tree else { return keys }
        let found = keys.filter { $0.path == tree || "\($0.path);\($0.key.cycle)" == tree }
        // The error lists what there is.
        if found.isEmpty { _ = try file.tree(tree) }
        return found
    }

    private func statistics(_ entry: DirectoryKey, _ file: RootFile) -> TreeStatistics {
        var report = TreeStatistics(
            entry, lowerCycle: !file.treeKeys.contains { $0.path == entry.path && $0.key.cycle == entry.key.cycle })
        do {
            let description = try file.tree(entry)
            let pattern = branches.map { NamePattern($0) }
            let chosen = description.branches.filter { pattern?.matches($0.name) ?? true }
            report.entries = description.entries
            let scan = TreeScan<ColumnSummary>(threads: threads)
            for (branch, outcome) in zip(chosen, scan.run([.init(file: file, tree: description, branches: chosen)])[0])
            {
                report.add(branch, outcome)
            }
        } catch {
            report.error = "\(error)"
        }
        return report
    }
}
