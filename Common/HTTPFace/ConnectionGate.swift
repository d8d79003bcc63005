import Dispatch
import HummingbirdCore
package import Logging
package import NIOCore
import Synchronization

/// Bounds the connections of one port. It does what `ConnectionTable` decides: where there is no room, the connection
/// that has been idle for longest is closed, and while none is idle nothing is accepted; who connects then waits in
/// the system's queue.
package final class ConnectionGate: Sendable {
    private struct State {
        var table: ConnectionTable
        /// How each connection is asked to close if it is still idle.
        var closers: [Int: @Sendable () -> Void] = [:]
        var nextID = 0
        var isFailing = false
        var looksAgain = false
    }

    private let state: Mutex<State>
    private let name: String
    private let max: Int
    private let log: Logger

    /// - Parameters:
    ///   - name: the port's name in the log.
    ///   - max: its connections at most, at least 1.
    package init(_ name: String, max: Int, log: Logger) {
        state = Mutex(State(table: ConnectionTable(max: max)))
        self.name = name
        self.max = max
        self.log = log
    }

    // MARK: The listening side

    /// Counts connections as they are accepted and closed, and stops accepting at the bound.
    struct Delegate: AvailableConnectionsDelegate {
        let gate: ConnectionGate

        mutating func connectionOpened() { gate.change { $0.accepted(at: $1) } }
        mutating func connectionClosed() { gate.change { $0.released(at: $1) } }
        func isAcceptingNewConnections() -> Bool { gate.state.withLock { $0.table.hasRoom } }
    }

    /// What counts the connections of this port.
    var delegate: Delegate { Delegate(gate: self) }

    /// Lets a listening channel rest for a second after it failed to accept, as for want of descriptors: it would
    /// otherwise be woken again at once, without end. The failure goes no further, where it would end the listening.
    func backoffHandler() -> AcceptBackoffHandler {
        AcceptBackoffHandler(shouldForwardIOErrorCaught: false) { [self] error in
            let isFirst = state.withLock { state in
                defer { state.isFailing = true }
                return !state.isFailing
            }
            if isFirst { log.error("\(name): a connection cannot be accepted: \(error)") }
            return .seconds(1)
        }
    }

    /// Bounds a listening channel that is not a `FaceServer`'s. Called on its event loop, while it is set up.
    package func bound(_ listening: any Channel) throws {
        try listening.pipeline.syncOperations.addHandlers([
            backoffHandler(), AvailableConnectionsChannelHandler(delegate: delegate),
        ])
    }

    // MARK: The connections

    /// A new connection, idle.
    ///
    /// - Parameter closeIfIdle: asks it to close unless it has a request by now; called on any thread.
    /// - Returns: its number.
    package func enter(_ closeIfIdle: @escaping @Sendable () -> Void) -> Int {
        let id = state.withLock { state in
            state.nextID += 1
            state.closers[state.nextID] = closeIfIdle
            return state.nextID
        }
        idle(id)
        return id
    }

    /// A connection has a request.
    package func busy(_ id: Int) { change { table, _ in table.becameBusy(id) } }

    /// A connection has answered all its requests.
    package func idle(_ id: Int) { change { table, now in table.becameIdle(id, at: now) } }

    /// A connection is closed.
    package func leave(_ id: Int) {
        state.withLock {
            $0.closers[id] = nil
            $0.table.left(id)
        }
    }

    private func change(_ body: (inout ConnectionTable, Double) -> Void) {
        change { (table, now) -> ConnectionTable.Notice? in
            body(&table, now)
            return nil
        }
    }

    private func change(_ body: (inout ConnectionTable, Double) -> ConnectionTable.Notice?) {
        let now = Double(NIODeadline.now().uptimeNanoseconds) / 1e9
        let (notice, closers, looksAgain) = state.withLock { state in
            let before = state.table.open
            let notice = body(&state.table, now)
            if state.table.open > before { state.isFailing = false }
            var closers: [@Sendable () -> Void] = []
            while let id = state.table.nextToClose(at: now) {
                if let closer = state.closers[id] { closers.append(closer) }
            }
            let looksAgain = state.table.mayCloseLater && !state.looksAgain
            if looksAgain { state.looksAgain = true }
            return (notice, closers, looksAgain)
        }
        if looksAgain { DispatchQueue.global().asyncAfter(deadline: .now() + 0.1) { self.lookAgain() } }
        for close in closers { close() }
        switch notice {
        case .full:
            log.warning(
                """
                \(name): all \(max) connections are taken; idle ones are closed for new ones, and while none is \
                idle, new ones wait
                """)
        case .room(let closed):
            log.info("\(name): there is room for connections again; \(closed) idle ones were closed")
        case nil: break
        }
    }

    private func lookAgain() {
        state.withLock { $0.looksAgain = false }
        change { (_, _) -> Void in }
    }
}
