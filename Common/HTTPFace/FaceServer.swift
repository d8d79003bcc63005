package import Hummingbird
import HummingbirdCore
import HummingbirdTLS
package import Logging
package import NIOCore
package import NIOSSL
package import ServiceLifecycle

/// An HTTP server of which no client can take more than its share: of connections, of time, of memory.
package struct FaceServer {
    /// Where it listens: a name or an address.
    package var host: String
    package var port: Int
    package var gate: ConnectionGate
    package var times = FaceTimes()
    /// Its certificate and key; nil for plain HTTP.
    package var tls: TLSConfiguration?

    package init(host: String, port: Int, gate: ConnectionGate) {
        self.host = host
        self.port = port
        self.gate = gate
    }

    /// The server as a service.
    ///
    /// - Parameter whenRunning: called with the listening channel.
    /// - Throws: what the certificate lacks.
    package func service(
        _ router: Router<FaceContext>, log: Logger,
        whenRunning: @escaping @Sendable (any Channel) async -> Void = { _ in }
    ) throws -> any Service {
        let (gate, times) = (gate, times)
        let http = HTTPServerBuilder.http1(
            configuration: .init(
                additionalChannelHandlers: [ConnectionHandler(gate: gate, times: times)], idleTimeout: times.idle))
        return Application(
            router: router, server: try tls.map { try .tls(http, tlsConfiguration: $0) } ?? http,
            configuration: .init(
                address: .hostname(host, port: port), backlog: 1024, availableConnectionsDelegate: gate.delegate),
            onServerRunning: { channel in
                try? await channel.eventLoop.submit {
                    try channel.pipeline.syncOperations.addHandler(gate.backoffHandler(), position: .first)
                }.get()
                await whenRunning(channel)
            }, logger: log)
    }
}
