import ArgumentParser
import Cluster
import Foundation
import RestInterface

/// `beamline jobs`.
struct Jobs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the jobs.", discussion: "Example:\n  beamline jobs")

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var options: ClientOptions

    func run() async throws {
        try await options.withClient { client in
            let data = try await client.data("GET", RestPath.jobs)
            if json { return print(String(decoding: data, as: UTF8.self)) }
            let jobs = try client.decode([JobStatus].self, from: data)
            if jobs.isEmpty { print("no jobs yet; beamline submit job.yaml adds one") }
            for job in jobs { print("\(job.id)\t\(job.stage)\t\(job.name)\(job.error.map { "\t" + $0 } ?? "")") }
        }
    }
}
