import ArgumentParser
import AsyncHTTPClient
import Bytes
import Cluster
import Foundation
import NIOCore
import NIOSSL
import Synchronization

struct ClientOptions: ParsableArguments {
    @Option(help: "The coordinator's REST address.")
    var coordinator = ProcessInfo.processInfo.environment["BEAMLINE_COORDINATOR"] ?? "http://localhost:8080"

    @Option(help: "A file with the token that the coordinator asks for; or the environment has it in BEAMLINE_TOKEN.")
    var tokenFile: String?

    @Option(help: "The authority (PEM) that vouches for a coordinator at https://; by default those of the system.")
    var tlsAuthority = ProcessInfo.processInfo.environment["BEAMLINE_TLS_AUTHORITY"]

    var client: RestClient {
        RestClient(base: coordinator, authority: tlsAuthority, token: { try readToken(tokenFile) })
    }
}

/// The token of a file, or of the environment; nil where there is none.
func readToken(_ file: String?) throws -> String? {
    let text: String
    if let file {
        guard let content = try? String(contentsOfFile: file, encoding: .utf8) else {
            throw InputError(.input, "cannot read the token file", object: file)
        }
        text = content
    } else {
        text = ProcessInfo.processInfo.environment["BEAMLINE_TOKEN"] ?? ""
    }
    let token = text.trimmingCharacters(in: .whitespacesAndNewlines)
    return token.isEmpty ? nil : token
}

/// Speaks JSON over HTTP; what goes wrong becomes one sentence and an exit code.
struct RestClient {
    struct Failure: Decodable {
        struct Mistake: Decodable {
            var line: Int
            var text: String
        }
        var error: String
        var mistakes: [Mistake]?
    }

    let base: String
    /// A PEM file; nil for the system's authorities.
    var authority: String?
    var token: @Sendable () throws -> String? = { nil }

    private static let clients = Mutex<[String: HTTPClient]>([:])

    /// A server that is not there is an answer at once; nobody is followed elsewhere with a token.
    private var http: HTTPClient {
        get throws {
            if let authority, !FileManager.default.isReadableFile(atPath: authority) {
                throw InputError(.input, "cannot read the authority", object: authority)
            }
            return Self.clients.withLock { clients in
                if let known = clients[authority ?? ""] { return known }
                var configuration = HTTPClient.Configuration(
                    redirectConfiguration: .disallow, timeout: .init(connect: .seconds(5)))
                configuration.connectionPool.retryConnectionEstablishment = false
                if let authority {
                    var tls = TLSConfiguration.makeClientConfiguration()
                    tls.trustRoots = .file(authority)
                    configuration.tlsConfiguration = tls
                }
                let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
                clients[authority ?? ""] = client
                return client
            }
        }
    }

    func data(_ method: String, _ path: String, body: Data? = nil, quiet: Bool = false) async throws -> Data {
        var request = HTTPClientRequest(url: base + path)
        request.method = .init(rawValue: method)
        if let body {
            request.headers.add(name: "content-type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        let response: HTTPClientResponse
        let content: Data
        let http: HTTPClient
        do {
            if let token = try token() { request.headers.add(name: "authorization", value: "Bearer " + token) }
            http = try self.http
        } catch let error as InputError {
            printError(error.description)
            throw ExitStatus.usage
        }
        do {
            response = try await http.execute(request, timeout: .seconds(60))
            content = Data(buffer: try await response.body.collect(upTo: 1 << 30))
        } catch {
            let reason = "\(error)".contains("Connection refused") ? "connection refused" : "\(error)"
            if !quiet {
                printError(
                    "cannot reach \(base): \(reason). Is it running? Its address is set by an option or BEAMLINE_COORDINATOR."
                )
            }
            throw ExitStatus.unreachable
        }
        guard (200..<300).contains(response.status.code) else {
            if let failure = try? JSONDecoder().decode(Failure.self, from: content) {
                printError(failure.error)
                for mistake in failure.mistakes ?? [] { printError("  line \(mistake.line): \(mistake.text)") }
            } else {
                printError(
                    "\(base)\(path) answered \(response.status.code): \(String(decoding: content.prefix(500), as: UTF8.self))"
                )
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
