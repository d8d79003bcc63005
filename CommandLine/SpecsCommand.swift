import ArgumentParser
import Cluster
import Foundation
import RestInterface

/// `beamline specs`.
struct SpecsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "specs", abstract: "Shows the statistics of a job's branches.",
        discussion: "Examples:\n  beamline specs 1\n  beamline specs 1 --format mlaas4hep > specs.json")

    @Argument(help: "The job's number.")
    var job: JobID

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: "mlaas4hep: JSON in MLaaS4HEP's layout.")
    var format: SpecsFormat?

    @OptionGroup var options: ClientOptions

    func run() async throws {
        try await options.withClient { client in
            let data = try await client.data("GET", RestPath.specs(job: job, format: format))
            if json || format != nil { return print(String(decoding: data, as: UTF8.self)) }
            show(try client.decode(SpecsDocument.self, from: data))
        }
    }

    private func show(_ document: SpecsDocument) {
        let parts = ["train", "validation", "test"].map { "\($0) \(document.parts[$0] ?? 0)" }
        print("\(document.events) events: \(parts.joined(separator: ", "))")
        print(Self.row("branch", "kind", "values", "nonfinite", "mult", "min", "max", "mean", "deviation"))
        for branch in document.branches {
            func real(_ value: Double) -> String { String(format: "%.6g", value) }
            print(
                Self.row(
                    branch.name, branch.kind, "\(branch.values)", "\(branch.nonfinite)", "\(branch.multiplicity)",
                    real(branch.min), real(branch.max), real(branch.mean), real(branch.deviation)))
        }
    }

    private static func row(_ cells: String...) -> String {
        cells.enumerated().map { index, cell in
            let width = index == 0 ? 28 : 12
            let pad = String(repeating: " ", count: max(1, width - cell.count))
            return index < 2 ? cell + pad : pad + cell
        }.joined()
    }
}

extension SpecsFormat: ExpressibleByArgument {}
