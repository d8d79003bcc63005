import Cluster
import Dispatch
import Session
import Synchronization
import Wire

/// What a worker has to say: the session machine, shared by its threads.
final class Outbox: Sendable {
    private struct State {
        var machine = SessionMachine()
        var session: AsyncStream<Beamline_Envelope>.Continuation?
    }

    private let state = Mutex(State())

    private static func now() -> Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }

    private static func say(
        _ messages: [WorkerMessage], _ payload: [UInt8] = [], to session: AsyncStream<Beamline_Envelope>.Continuation?
    ) {
        guard let session else { return }
        for message in messages {
            if case .receipts(let receipts) = message {
                // Each on its own: together they could be larger than a message may be.
                for receipt in receipts {
                    if let envelope = try? WireCoding.envelope(receipts: [receipt]) { session.yield(envelope) }
                }
            } else if let envelope = try? WireCoding.envelope(message, payload: payload) {
                session.yield(envelope)
            }
        }
    }

    func connect(_ session: AsyncStream<Beamline_Envelope>.Continuation) {
        state.withLock { state in
            state.session = session
            Self.say(state.machine.connected(now: Self.now()), to: session)
        }
    }

    func disconnect() {
        state.withLock { state in
            state.session = nil
            state.machine.disconnected()
        }
    }

    /// - Returns: what is new.
    func granted(_ grants: [Grant]) -> [Grant] { state.withLock { $0.machine.granted(grants) } }

    func tick() { state.withLock { state in Self.say(state.machine.tick(now: Self.now()), to: state.session) } }

    func send(_ message: WorkerMessage, payload: [UInt8] = []) {
        state.withLock { Self.say([message], payload, to: $0.session) }
    }

    func finished(_ receipt: Receipt) {
        state.withLock { state in
            if let message = state.machine.finished(receipt, now: Self.now()) { Self.say([message], to: state.session) }
        }
    }

    func settled(_ leases: [LeaseName]) { state.withLock { $0.machine.settled(leases) } }
    func welcomed(leaseSeconds: Double) { state.withLock { $0.machine.welcomed(leaseSeconds: leaseSeconds) } }

    func drained() { state.withLock { $0.machine.drained() } }
    var isDrained: Bool { state.withLock { $0.machine.isDrained } }

    func inRound(_ round: Heartbeat.InRound?) { state.withLock { $0.machine.round = round } }

    /// The round's phase or step changed; nothing where it is in another by now.
    func inRound(_ number: RoundNumber, _ change: (inout Heartbeat.InRound) -> Void) {
        state.withLock { state in
            guard var round = state.machine.round, round.round == number else { return }
            change(&round)
            state.machine.round = round
        }
    }
}
