import Foundation
import Synchronization

/// A TCP proxy on loopback that delays, narrows, breaks, stalls and rejects, as its `Impairment` demands; seeded.
// SAFETY: everything that changes is behind the mutex `state`; `condition` is locked for waiting and waking.
package final class ImpairmentProxy: @unchecked Sendable {
    private struct State {
        var impairment: Impairment
        var random: FaultRandom
        var upstream: UInt16
        var stalled = false
        var stopped = false
        /// When the link is free again, each way.
        var free = [0.0, 0.0]
        var connections: [ObjectIdentifier: ProxiedConnection] = [:]
        var accepted = 0
        var rejectedOpens = 0
        var bytesDown = 0
        var stalls = 0
    }

    package enum Way: Int, Sendable { case up, down }

    /// Where clients connect.
    package let port: UInt16
    private let listener: Int32
    private let state: Mutex<State>
    private let condition = NSCondition()

    /// - Parameters:
    ///   - port: 0 for any that is free.
    ///   - upstream: the server's port on loopback.
    package init(port: UInt16 = 0, upstream: UInt16, _ impairment: Impairment = .init(), seed: UInt64 = 1) throws {
        state = Mutex(State(impairment: impairment, random: FaultRandom(seed: seed), upstream: upstream))
        signal(SIGPIPE, SIG_IGN)
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var yes: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, 4)
        var address = Self.loopback(port)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0, listen(listener, 256) == 0 else { throw POSIXError(.EADDRINUSE) }
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) }
        }
        self.port = UInt16(bigEndian: address.sin_port)
        self.listener = listener
        Thread { [self] in accept() }.start()
    }

    static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    // MARK: Faults

    package func change(_ body: (inout Impairment) -> Void) { state.withLock { body(&$0.impairment) } }

    /// New connections go to another server.
    package func redirect(to upstream: UInt16) { state.withLock { $0.upstream = upstream } }

    package func stall() {
        state.withLock { state in
            if !state.stalled { state.stalls += 1 }
            state.stalled = true
        }
    }

    package func resume() {
        condition.withLock {
            state.withLock { state in
                state.stalled = false
                state.impairment.stallAfter = nil
            }
            condition.broadcast()
        }
    }

    /// Breaks all connections.
    package func resetAll() {
        for connection in state.withLock({ Array($0.connections.values) }) { connection.reset() }
    }

    package func stop() {
        condition.withLock {
            state.withLock { $0.stopped = true }
            condition.broadcast()
        }
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        resetAll()
    }

    // MARK: What happened

    package var connectionsAccepted: Int { state.withLock { $0.accepted } }
    package var rejectedOpens: Int { state.withLock { $0.rejectedOpens } }
    package var bytesDown: Int { state.withLock { $0.bytesDown } }
    package var isStalled: Bool { state.withLock { $0.stalled } }

    // MARK: For connections

    private func accept() {
        while true {
            let client = Glibc.accept(listener, nil, nil)
            guard client >= 0 else { return }
            let (upstream, rejects, stopped) = state.withLock { state in
                state.accepted += 1
                return (
                    state.upstream, Double.random(in: 0..<1, using: &state.random) < state.impairment.rejectConnections,
                    state.stopped
                )
            }
            guard !stopped else {
                close(client)
                return
            }
            if rejects {
                ProxiedConnection.abort(client)
                continue
            }
            guard let connection = ProxiedConnection(self, client: client, upstream: upstream) else { continue }
            state.withLock { $0.connections[ObjectIdentifier(connection)] = connection }
            connection.start()
        }
    }

    func ended(_ connection: ProxiedConnection) {
        state.withLock { _ = $0.connections.removeValue(forKey: ObjectIdentifier(connection)) }
    }

    var readsOpens: Bool { state.withLock { $0.impairment.rejectOpens > 0 } }

    func rejectsOpen() -> Bool {
        state.withLock { state in
            let rejected = Double.random(in: 0..<1, using: &state.random) < state.impairment.rejectOpens
            if rejected { state.rejectedOpens += 1 }
            return rejected
        }
    }

    var resetEvery: Int? { state.withLock { $0.impairment.resetEvery } }

    /// When bytes that came now are due at the other end.
    func due(_ bytes: Int, _ way: Way) -> Double {
        let now = Self.now()
        return state.withLock { state in
            let impairment = state.impairment
            var sent = now
            if let rate = impairment.bytesPerSecond {
                sent = max(now, state.free[way.rawValue]) + Double(bytes) / rate
                state.free[way.rawValue] = sent
            }
            let jitter = impairment.jitter > 0 ? Double.random(in: 0..<impairment.jitter, using: &state.random) : 0
            return sent + impairment.delay / 2 + jitter
        }
    }

    /// Counts bytes on their way to the client.
    func passed(_ bytes: Int) {
        state.withLock { state in
            state.bytesDown += bytes
            if let limit = state.impairment.stallAfter, state.bytesDown >= limit, !state.stalled {
                state.stalled = true
                state.stalls += 1
            }
        }
    }

    /// Waits while nothing goes through. Returns false where the proxy stopped.
    func passes() -> Bool {
        condition.withLock {
            while state.withLock({ $0.stalled && !$0.stopped }) {
                _ = condition.wait(until: Date().addingTimeInterval(0.5))
            }
            return !state.withLock { $0.stopped }
        }
    }
}
