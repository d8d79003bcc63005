import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Hummingbird
import HummingbirdTLS
package import Logging
package import ServiceLifecycle
import Wire

/// A coordinator's services, in the order in which they start; they stop in the reverse order.
package func coordinatorServices(
    _ coordinator: Coordinator, _ listening: Listening, log: Logger
) throws -> [any Service] {
    let access = AccessGuard(tokens: listening.tokens)
    let rest = Application(
        router: RestService(coordinator: coordinator, access: access).router(),
        server: try listening.certificate.map { try .tls(tlsConfiguration: $0.tlsConfiguration()) } ?? .http1(),
        configuration: .init(address: .hostname(listening.host, port: listening.restPort)), logger: log)
    return [
        CoordinatorTimers(coordinator: coordinator),
        WorkersServer(coordinator: coordinator, listening: listening, access: access, log: log), rest,
    ]
}

/// The coordinator's timers, as a service.
private struct CoordinatorTimers: Service {
    let coordinator: Coordinator

    func run() async throws {
        var failure: (any Error)?
        do { try await cancelWhenGracefulShutdown { try await coordinator.run() } } catch is CancellationError {
        } catch { failure = error }
        await coordinator.publisher.shutDown()
        if let failure { throw failure }
    }
}

/// The gRPC server for workers, as a service.
private struct WorkersServer: Service {
    let coordinator: Coordinator
    let listening: Listening
    let access: AccessGuard
    let log: Logger

    func run() async throws {
        let security: HTTP2ServerTransport.Posix.TransportSecurity =
            listening.certificate.map {
                .tls(
                    certificateChain: [.file(path: $0.chain, format: .pem)],
                    privateKey: .file(path: $0.key, format: .pem))
            } ?? .plaintext
        let host = listening.host
        let transport = HTTP2ServerTransport.Posix(
            address: host.contains(":")
                ? .ipv6(host: host, port: listening.workersPort) : .ipv4(host: host, port: listening.workersPort),
            transportSecurity: security,
            config: .defaults {
                $0.rpc.maxRequestPayloadSize = WireCoding.messageLimit
                // A peer that is gone without a word is found out within a minute; workers ask as well.
                $0.connection.keepalive = .init(
                    time: .seconds(30), timeout: .seconds(20),
                    clientBehavior: .init(minPingIntervalWithoutCalls: .seconds(10), allowWithoutCalls: true))
            })
        let server = GRPCServer(
            transport: transport, services: [WorkersService(coordinator: coordinator, log: log)],
            interceptors: [JoinInterceptor(access: access, log: log)])
        try await withGracefulShutdownHandler {
            try await server.serve()
        } onGracefulShutdown: {
            server.beginGracefulShutdown()
            // Sessions have no end of their own.
            Task { await coordinator.endSessions() }
        }
    }
}
