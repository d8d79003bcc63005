import ArgumentParser
import Foundation
import InferenceService

struct InferenceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inference",
        abstract: "Runs an inference node: it serves the models that coordinators push to it.",
        discussion: "Example:\n  beamline inference --port 8083 --state /var/lib/beamline-models")

    @Option(help: "The address to listen on.")
    var host = "127.0.0.1"

    @Option(help: "The port for HTTP.")
    var port = 8083

    @Option(help: "The directory where models are kept.")
    var state = "beamline-models"

    func run() async throws {
        let log = makeLogger("inference")
        let service = InferenceService(
            store: try ModelStore(directory: URL(filePath: state)), version: Beamline.version)
        let (host, port) = (host, port)
        try await runUntilSignalled { try await service.run(host: host, port: port, log: log) }
    }
}

struct Predict: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Asks an inference node for predictions.",
        discussion: """
            The file holds either an Open Inference Protocol request (inputs), or {"keys": [...], "values": [...]} for one event.

            Example:
              beamline predict --node http://localhost:8083 --model tth event.json
            """)

    @Option(help: "The inference node's address.")
    var node = "http://localhost:8083"

    @Option(help: "The model's name.")
    var model: String

    @Argument(help: "The request (JSON).")
    var file: String

    func run() async throws {
        guard let data = try? Data(contentsOf: URL(filePath: file)),
            var request = try? JSONSerialization.jsonObject(with: data) as? [String: Any]
        else {
            printError("cannot read a JSON object from \(file)")
            throw ExitStatus.usage
        }
        let client = RestClient(base: node)
        if request["inputs"] != nil {
            print(
                String(decoding: try await client.data("POST", "/v2/models/\(model)/infer", body: data), as: UTF8.self))
        } else {
            request["model"] = model
            let body = try JSONSerialization.data(withJSONObject: request)
            print(String(decoding: try await client.data("POST", "/json", body: body), as: UTF8.self))
        }
    }
}
