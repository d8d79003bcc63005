import ArgumentParser
import Foundation
import HTTPFace
import InferenceService

/// `beamline inference`.
struct InferenceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inference",
        abstract: "Runs an inference node: it serves the models that coordinators push to it.",
        discussion: "Example:\n  beamline inference --port 8083 --state /var/lib/beamline-models")

    @Option(help: "The address to listen on, IPv4 or IPv6.")
    var host = "127.0.0.1"

    @Option(help: "The port for HTTP.")
    var port = 8083

    @Option(help: "The directory where models are kept.")
    var state = "beamline-models"

    @OptionGroup var names: AllowedHosts

    @Option(
        name: .customLong("memory-mib"),
        help: """
            MiB that the models may take together, those that are being loaded included; without it, half of what the \
            machine, or this process's control group, has.
            """)
    var memoryMiB: Int?

    func validate() throws {
        if let memoryMiB, !(1...1 << 40).contains(memoryMiB) {
            throw ValidationError("--memory-mib: expected 1 to \(1 << 40); found \(memoryMiB)")
        }
    }

    func run() async throws {
        let log = makeLogger("inference")
        let memory = ModelMemory(bytes: memoryMiB.map { $0 << 20 } ?? ModelMemory.standardBytes)
        let service = InferenceService(
            store: try ModelStore(directory: URL(filePath: state), memory: memory), version: Beamline.version,
            policy: RequestPolicy(names: ServerNames.own(listeningOn: host), allowed: names.allowedHosts))
        let connections = ConnectionAllowance.ofThisProcess(ports: 1, log: log).connections
        let server = try service.server(host: host, port: port, connections: connections, log: log)
        try await runServices([server], log: log)
    }
}
