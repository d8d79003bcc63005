import ArgumentParser
import Cluster
import Foundation
import RestInterface

/// `beamline workers`.
struct Workers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the workers that are joined.", discussion: "Example:\n  beamline workers")

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var options: ClientOptions

    func run() async throws {
        try await options.withClient { client in
            let data = try await client.data("GET", RestPath.workers)
            if json { return print(String(decoding: data, as: UTF8.self)) }
            let workers = try client.decode([WorkerStatus].self, from: data)
            if workers.isEmpty { print("no worker is joined; beamline worker --workers-address host:port starts one") }
            for worker in workers { print(Self.line(worker)) }
        }
    }

    private static func line(_ worker: WorkerStatus) -> String {
        var line =
            "\(worker.id)\t\(worker.name)\t\(worker.state.rawValue)\t\(worker.threads) threads\t"
            + "\(worker.held) tasks held, \(worker.counted) counted"
        if !worker.instructionSet.isEmpty { line += "\tinstructions \(worker.instructionSet)" }
        if let round = worker.round { line += "\tround \(round), \(worker.phase?.rawValue ?? "")" }
        if worker.silentSeconds > 3 { line += "\tsilent for \(Int(worker.silentSeconds)) s" }
        if let stuck = worker.stuck { line += "\t\(stuck)" }
        if let reason = worker.reason { line += "\t\(reason)" }
        return line
    }
}

/// `beamline drain`.
struct Drain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lets a worker finish what it has and end.", discussion: "Example:\n  beamline drain 7")

    @Argument(help: "The worker's number, as `beamline workers` shows it.")
    var worker: WorkerID

    @OptionGroup var options: ClientOptions

    func run() async throws {
        try await options.withClient { client in
            _ = try await client.data("POST", RestPath.drain(worker: worker))
            print("worker \(worker) is drained: it gets nothing more, and ends when it holds nothing")
        }
    }
}
