import ArgumentParser
import AsyncHTTPClient
import Cluster
import Foundation
import NIOCore

struct ClientOptions: ParsableArguments {
    @Option(help: "The coordinator's REST address.")
    var coordinator = ProcessInfo.processInfo.environment["BEAMLINE_COORDINATOR"] ?? "http://localhost:8080"

    var client: RestClient { RestClient(base: coordinator) }
}

/// Speaks JSON over HTTP; what goes wrong becomes one sentence and an exit code.
struct RestClient {
    struct Failure: Decodable {
        struct Mistake: Decodable { var line: Int; var text: String }
        var error: String
        var mistakes: [Mistake]?
    }

    let base: String

    /// A server that is not there is an answer at once.
    private static let http: HTTPClient = {
        var configuration = HTTPClient.Configuration(timeout: .init(connect: .seconds(5)))
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    func data(_ method: String, _ path: String, body: Data? = nil, quiet: Bool = false) async throws -> Data {
        var request = HTTPClientRequest(url: base + path)
        request.method = .init(rawValue: method)
        if let body {
            request.headers.add(name: "content-type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        let response: HTTPClientResponse
        let content: Data
        do {
            response = try await Self.http.execute(request, timeout: .seconds(60))
            content = Data(buffer: try await response.body.collect(upTo: 1 << 30))
        } catch {
            let reason = "\(error)".contains("Connection refused") ? "connection refused" : "\(error)"
            if !quiet { printError("cannot reach \(base): \(reason). Is it running? Its address is set by an option or BEAMLINE_COORDINATOR.") }
            throw ExitStatus.unreachable
        }
        guard (200..<300).contains(response.status.code) else {
            if let failure = try? JSONDecoder().decode(Failure.self, from: content) {
                printError(failure.error)
                for mistake in failure.mistakes ?? [] { printError("  line \(mistake.line): \(mistake.text)") }
            } else {
                printError("\(base)\(path) answered \(response.status.code): \(String(decoding: content.prefix(500), as: UTF8.self))")
            }
            throw response.status.code == 422 || response.status.code == 400 ? ExitStatus.usage : ExitStatus.refused
        }
        return content
    }

    func get<T: Decodable>(_: T.Type, _ path: String, quiet: Bool = false) async throws -> T {
        try JSONDecoder().decode(T.self, from: await data("GET", path, quiet: quiet))
    }
}

extension Data {
    init(buffer: ByteBuffer) { self = Data(buffer.readableBytesView) }
}
