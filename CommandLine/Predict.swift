import ArgumentParser
import Foundation

/// `beamline predict`.
struct Predict: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Asks an inference node for predictions.",
        discussion: """
            The file holds either an Open Inference Protocol request (inputs), or {"keys": [...], "values": [...]} \
            for one event.

            Example:
              beamline predict --node http://localhost:8083 --model tth event.json
            """)

    @Option(help: "The inference node's address, a URL; or the environment has it in BEAMLINE_INFERENCE.")
    var node = ProcessInfo.processInfo.environment["BEAMLINE_INFERENCE"] ?? "http://localhost:8083"

    @Option(help: "The model's name.")
    var model: String

    @OptionGroup var credentials: ClientCredentials

    @Argument(help: "The request (JSON).")
    var file: String

    func run() async throws {
        // 64 MiB is more than an inference node takes.
        let data = Data(try readUserFile(file, "request", limit: 64 << 20).utf8)
        guard var request = try? JSONSerialization.jsonObject(with: data) as? [String: Any]
        else {
            printError("cannot read a JSON object from \(file)")
            throw ExitStatus.usage
        }
        let path: String
        let body: Data
        if request["inputs"] != nil {
            (path, body) = ("/v2/models/\(model)/infer", data)
        } else {
            request["model"] = model
            (path, body) = ("/json", try JSONSerialization.data(withJSONObject: request))
        }
        try await credentials.withClient(of: node, addressedBy: "--node or BEAMLINE_INFERENCE") { client in
            print(String(decoding: try await client.data("POST", path, body: body), as: UTF8.self))
        }
    }
}
