import Cluster
import Dispatch
import Session
import Synchronization
import Wire

/// What a worker has to send: the session machine, shared by its threads, and the stream of the session that is open.
/// Messages go into the stream as values, in their order; whoever writes them to the connection encodes them.
final class Outbox: Sendable {
    /// One message on its way.
    struct Outgoing: Sendable {
        var message: WorkerMessage
        /// Bytes beside the message.
        var payload: [UInt8] = []

        /// The message as it travels.
        /// - Throws: `EncodingError` where a number is not finite.
        func envelope() throws -> Beamline_Envelope {
            if case .receipts(let receipts) = message { return try WireCoding.envelope(receipts: receipts) }
            return try WireCoding.envelope(message, payload: payload)
        }
    }

    private struct State {
        var machine = SessionMachine()
        var session: AsyncStream<Outgoing>.Continuation?
        /// Nothing more is sent, in this session or in another.
        var isClosed = false
    }

    private let state = Mutex(State())

    private static func now() -> Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }

    private static func put(
        _ messages: [WorkerMessage], _ payload: [UInt8] = [], into session: AsyncStream<Outgoing>.Continuation?
    ) {
        guard let session else { return }
        for message in messages {
            if case .receipts(let receipts) = message {
                // Each on its own: together they could be larger than a message may be.
                for receipt in receipts { session.yield(Outgoing(message: .receipts([receipt]))) }
            } else {
                session.yield(Outgoing(message: message, payload: payload))
            }
        }
    }

    /// A session is open: sends what the machine owes.
    func connect(_ session: AsyncStream<Outgoing>.Continuation) {
        state.withLock { state in
            guard !state.isClosed else { return session.finish() }
            state.session = session
            Self.put(state.machine.connected(now: Self.now()), into: session)
        }
    }

    func disconnect() {
        state.withLock { state in
            state.session = nil
            state.machine.disconnected()
        }
    }

    /// Gives back what the worker holds and ends the stream: the session ends when all of it is written and the
    /// coordinator has answered.
    func close() {
        state.withLock { state in
            guard !state.isClosed else { return }
            state.isClosed = true
            Self.put([.leave], into: state.session)
            state.session?.finish()
        }
    }

    var isClosed: Bool { state.withLock { $0.isClosed } }

    /// - Returns: what is new.
    func granted(_ grants: [Grant]) -> [Grant] { state.withLock { $0.machine.granted(grants) } }

    /// - Parameter stuck: the worker's threads that wait for local files which do not answer.
    func tick(stuck: Heartbeat.Stuck?) {
        state.withLock { state in
            state.machine.stuck = stuck
            Self.put(state.machine.tick(now: Self.now()), into: state.session)
        }
    }

    func send(_ message: WorkerMessage, payload: [UInt8] = []) {
        state.withLock { Self.put([message], payload, into: $0.session) }
    }

    /// A task's work is done. A receipt that no message can hold becomes a failure with the reason: it would be sent
    /// again and again, and end each session.
    func finished(_ receipt: Receipt) {
        let receipt = WireCoding.sendable(receipt)
        state.withLock { state in
            if let message = state.machine.finished(receipt, now: Self.now()) {
                Self.put([message], into: state.session)
            }
        }
    }

    /// Whether somebody waits for a receipt of this lease.
    func holds(_ lease: LeaseName) -> Bool { state.withLock { $0.machine.holds(lease) } }

    func settled(_ leases: [LeaseName]) { state.withLock { $0.machine.settled(leases) } }
    func welcomed(leaseSeconds: Double) { state.withLock { $0.machine.welcomed(leaseSeconds: leaseSeconds) } }

    func drained() { state.withLock { $0.machine.drained() } }
    var isDrained: Bool { state.withLock { $0.machine.isDrained } }

    func inRound(_ round: Heartbeat.InRound?) { state.withLock { $0.machine.round = round } }
}
