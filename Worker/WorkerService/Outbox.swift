import Cluster
import Synchronization
import Wire

/// What a worker has to say. Receipts stay until they are acknowledged, and are said again in the next session.
final class Outbox: Sendable {
    private struct State {
        var session: AsyncStream<Beamline_Envelope>.Continuation?
        var held: Set<LeaseName> = []
        var receipts: [LeaseName: Beamline_Envelope] = [:]
    }

    private let state = Mutex(State())

    func connect(_ session: AsyncStream<Beamline_Envelope>.Continuation) {
        state.withLock { state in
            state.session = session
            for envelope in state.receipts.sorted(by: { $0.key.token < $1.key.token }).map(\.value) { session.yield(envelope) }
        }
    }

    func disconnect() { state.withLock { $0.session = nil } }

    func hold(_ lease: LeaseName) { state.withLock { _ = $0.held.insert(lease) } }

    func renew() { send(.renew(state.withLock { Array($0.held) })) }

    func send(_ message: WorkerMessage, payload: [UInt8] = []) {
        guard let envelope = try? WireCoding.envelope(message, payload: payload) else { return }
        state.withLock { _ = $0.session?.yield(envelope) }
    }

    func send(_ lease: LeaseName, _ result: TaskResult, _ specs: [UInt8]) {
        guard let envelope = try? WireCoding.envelope(WorkerMessage.receipt(lease, result), payload: specs) else { return }
        state.withLock { state in
            state.receipts[lease] = envelope
            state.session?.yield(envelope)
        }
    }

    func acknowledged(_ lease: LeaseName) {
        state.withLock { state in
            state.held.remove(lease)
            state.receipts[lease] = nil
        }
    }
}
