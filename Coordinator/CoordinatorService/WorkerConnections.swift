import GRPCNIOTransportHTTP2Posix
import HTTPFace
import NIOCore
import Synchronization

/// Bounds the connections of the workers' port in number and in time. The transport has no bounds of its own for them:
/// it closes what does not answer its pings and, in good order, what has no calls; a peer that has never spoken, or
/// that answers pings without calling, would stay.
final class WorkerConnections: Sendable {
    /// From a connection's beginning to its first call, with all handshakes.
    static let firstCall = TimeAmount.seconds(15)
    /// For a connection without calls after that; longer than the transport's own time, which is kinder.
    static let idle = TimeAmount.seconds(180)

    private struct Connection {
        let id: Int
        var calls = 0
        /// Grows with each call that begins or ends.
        var moment = 0
    }

    private let gate: ConnectionGate
    private let connections = Mutex<[ObjectIdentifier: Connection]>([:])

    init(gate: ConnectionGate) { self.gate = gate }

    /// What the transport calls at each connection and at each call.
    var callbacks: HTTP2ServerTransport.Config.ChannelDebuggingCallbacks {
        .init(
            onBindTCPListener: { [gate] channel in
                channel.eventLoop.makeCompletedFuture { try gate.bound(channel) }
            },
            onAcceptTCPConnection: { [self] channel in
                accepted(channel)
                return channel.eventLoop.makeSucceededVoidFuture()
            },
            onAcceptHTTP2Stream: { [self] channel in
                called(channel)
                return channel.eventLoop.makeSucceededVoidFuture()
            })
    }

    private func accepted(_ channel: any Channel) {
        let key = ObjectIdentifier(channel)
        let id = gate.enter { [self] in channel.eventLoop.execute { self.closeIfIdle(channel, at: nil) } }
        connections.withLock { $0[key] = Connection(id: id) }
        channel.closeFuture.whenComplete { [self] _ in
            connections.withLock { $0[key] = nil }
            gate.leave(id)
        }
        watch(channel, moment: 0, for: Self.firstCall)
    }

    private func called(_ call: any Channel) {
        guard let channel = call.parent else { return }
        change(channel, by: 1)
        call.closeFuture.whenComplete { [self] _ in change(channel, by: -1) }
    }

    private func change(_ channel: any Channel, by number: Int) {
        let changed = connections.withLock { connections -> Connection? in
            let key = ObjectIdentifier(channel)
            connections[key]?.calls += number
            connections[key]?.moment += 1
            return connections[key]
        }
        guard let changed else { return }
        if changed.calls == 0 {
            gate.idle(changed.id)
            watch(channel, moment: changed.moment, for: Self.idle)
        } else if changed.calls == 1, number > 0 {
            gate.busy(changed.id)
        }
    }

    private func watch(_ channel: any Channel, moment: Int, for time: TimeAmount) {
        channel.eventLoop.scheduleTask(in: time) { [self, weak channel] in
            if let channel { closeIfIdle(channel, at: moment) }
        }
    }

    /// - Parameter moment: only where nothing was called since; nil for any.
    private func closeIfIdle(_ channel: any Channel, at moment: Int?) {
        let isIdle = connections.withLock {
            $0[ObjectIdentifier(channel)].map { $0.calls == 0 && $0.moment == moment ?? $0.moment } ?? false
        }
        if isIdle { channel.close(promise: nil) }
    }
}
