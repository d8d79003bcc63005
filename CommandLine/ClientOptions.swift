import ArgumentParser
import Bytes
import Foundation
import Storage

/// How a client reaches a coordinator.
struct ClientOptions: ParsableArguments {
    @Option(
        name: [.customLong("server"), .customLong("coordinator")],
        help: "The coordinator's REST address, a URL; or the environment has it in BEAMLINE_COORDINATOR.")
    var server = ProcessInfo.processInfo.environment["BEAMLINE_COORDINATOR"] ?? "http://localhost:8080"

    @OptionGroup var credentials: ClientCredentials

    /// Runs the body with a client for the coordinator, and closes its connections.
    func withClient<Value>(_ body: (RestClient) async throws -> Value) async throws -> Value {
        try await credentials.withClient(of: server, addressedBy: "--server or BEAMLINE_COORDINATOR", body)
    }
}

/// What a client shows to a server, and by what it recognises one.
struct ClientCredentials: ParsableArguments {
    @Option(help: "A file with the token that the server asks for; or the environment has it in BEAMLINE_TOKEN.")
    var tokenFile: String?

    @Option(
        help: """
            The authority (PEM) that vouches for a server at https://, by default those of the system; or the \
            environment has it in BEAMLINE_TLS_AUTHORITY.
            """)
    var tlsAuthority: String?

    /// Runs the body with a client for a server, and closes its connections.
    /// - Parameters:
    ///   - server: a URL.
    ///   - option: what sets the address, for errors.
    func withClient<Value>(
        of server: String, addressedBy option: String, _ body: (RestClient) async throws -> Value
    ) async throws -> Value {
        let client = try RestClient(
            server: server, addressedBy: option,
            authority: tlsAuthority ?? ProcessInfo.processInfo.environment["BEAMLINE_TLS_AUTHORITY"],
            token: { try readToken(tokenFile) })
        let result: Result<Value, any Error>
        do { result = .success(try await body(client)) } catch { result = .failure(error) }
        await client.shutDown()
        return try result.get()
    }
}

/// The token of a file, or of the environment; nil where there is none.
func readToken(_ file: String?) throws -> String? {
    let text: String
    if let file {
        do { text = try userText(file, limit: 64 << 10) } catch {
            throw InputError(.input, "cannot read the token file: \(error.message)", object: file)
        }
    } else {
        text = ProcessInfo.processInfo.environment["BEAMLINE_TOKEN"] ?? ""
    }
    let token = text.trimmingCharacters(in: .whitespacesAndNewlines)
    return token.isEmpty ? nil : token
}
