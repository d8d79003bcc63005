import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import HTTPFace
package import Logging
package import ServiceLifecycle
import Wire

/// A coordinator's services, in the order in which they start; they stop in the reverse order.
package func coordinatorServices(
    _ coordinator: Coordinator, _ listening: Listening, log: Logger
) throws -> [any Service] {
    let access = AccessGuard(tokens: listening.tokens)
    let connections = ConnectionAllowance.ofThisProcess(ports: 2, log: log).connections
    func gate(_ port: Int) -> ConnectionGate { ConnectionGate("port \(port)", max: connections, log: log) }
    var rest = FaceServer(host: listening.host, port: listening.restPort, gate: gate(listening.restPort))
    rest.tls = try listening.certificate?.tlsConfiguration()
    let service = RestService(coordinator: coordinator, access: access, policy: try listening.policy())
    return [
        CoordinatorTimers(coordinator: coordinator),
        WorkersServer(
            coordinator: coordinator, listening: listening, access: access, gate: gate(listening.workersPort),
            log: log),
        try rest.service(service.router(), log: log),
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
    let gate: ConnectionGate
    let log: Logger

    func run() async throws {
        let connections = WorkerConnections(gate: gate)
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
                // A session has no end, so a connection has none; one without calls ends, in good order where its
                // peer keeps to the protocol, and else by `WorkerConnections`.
                $0.connection.maxIdleTime = .seconds(120)
                $0.connection.maxGraceTime = .seconds(10)
                $0.http2.maxConcurrentStreams = 100
                $0.channelDebuggingCallbacks = connections.callbacks
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
