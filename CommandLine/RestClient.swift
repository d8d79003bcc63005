import ArgumentParser
import AsyncHTTPClient
import Bytes
import Foundation
import NIOCore
import NIOSSL
import RestInterface

/// Sends requests with JSON over HTTP to one server; what goes wrong becomes one sentence on standard error and an exit
/// code.
struct RestClient {
    /// The server's URL, without a path.
    let server: String
    /// What sets the address, for errors.
    private let option: String
    private let token: () throws -> String?
    private let http: HTTPClient
    /// Bytes of an answer at most; a bundle may be as large.
    private static let maxAnswer = 1 << 30

    /// - Parameters:
    ///   - option: what sets the address, for errors.
    ///   - authority: a PEM file; nil for the system's authorities.
    ///   - token: asked for at each request; nil where none is sent.
    /// - Throws: `InputError` where the authority cannot be read.
    init(
        server: String, addressedBy option: String, authority: String? = nil, token: @escaping () throws -> String?
    ) throws {
        if let authority, !FileManager.default.isReadableFile(atPath: authority) {
            throw InputError(.input, "cannot read the authority", object: authority)
        }
        self.server = server.hasSuffix("/") ? String(server.dropLast()) : server
        self.option = option
        self.token = token
        // A server that is not there is an answer at once; nobody is followed elsewhere with a token.
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: .seconds(5)))
        configuration.connectionPool.retryConnectionEstablishment = false
        if let authority {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.trustRoots = .file(authority)
            configuration.tlsConfiguration = tls
        }
        http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    /// Closes the connections.
    func shutDown() async { try? await http.shutdown() }

    /// - Parameter isQuiet: prints nothing where the server cannot be reached.
    /// - Returns: the answer's body.
    /// - Throws: `ExitCode` for a failure that was printed: `unreachable`, `usage` where the request is wrong, else
    ///   `rejected`.
    func data(_ method: String, _ path: String, body: Data? = nil, isQuiet: Bool = false) async throws -> Data {
        var request = HTTPClientRequest(url: server + path)
        request.method = .init(rawValue: method)
        if let body {
            request.headers.add(name: "content-type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        if let token = try token() { request.headers.add(name: "authorization", value: "Bearer " + token) }
        let response: HTTPClientResponse
        let content: Data
        do {
            response = try await http.execute(request, timeout: .seconds(60))
            content = Data(try await response.body.collect(upTo: Self.maxAnswer).readableBytesView)
        } catch {
            let reason = "\(error)".contains("Connection refused") ? "connection refused" : "\(error)"
            if !isQuiet {
                printError("cannot reach \(server): \(reason). Is it running? Its address is set by \(option).")
            }
            throw ExitStatus.unreachable
        }
        guard (200..<300).contains(response.status.code) else {
            printFailure(response.status.code, path, content)
            throw response.status.code == 422 || response.status.code == 400 ? ExitStatus.usage : ExitStatus.rejected
        }
        return content
    }

    private func printFailure(_ status: UInt, _ path: String, _ content: Data) {
        guard let failure = try? RestJSON.decode(RestFailure.self, from: content) else {
            let text = String(decoding: content.prefix(500), as: UTF8.self)
            return printError("\(server)\(path) answered \(status): \(text)")
        }
        printError(failure.error)
        for mistake in failure.mistakes ?? [] { printError("  line \(mistake.line): \(mistake.text)") }
    }

    /// Requests a document and decodes it.
    func get<Value: Decodable>(_: Value.Type, _ path: String, isQuiet: Bool = false) async throws -> Value {
        try decode(Value.self, from: await data("GET", path, isQuiet: isQuiet))
    }

    /// - Throws: `InputError` where the server answers with another document.
    func decode<Value: Decodable>(_: Value.Type, from data: Data) throws(InputError) -> Value {
        do { return try RestJSON.decode(Value.self, from: data) } catch {
            throw InputError(
                .corrupt, "the answer is not understood", file: server, expected: "\(Value.self)", found: "\(error)",
                hint: "Client and server are probably of different versions.")
        }
    }
}
