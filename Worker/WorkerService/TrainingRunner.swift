import Cluster
import Dispatch
import Logging
import Member
import Models
import Pipeline
import Synchronization
import Training

/// Takes part in training rounds: carries out the directives of `MemberMachine`, its operations one after another on a
/// serial queue.
final class TrainingRunner: Sendable {
    private struct State {
        var machine: MemberMachine
        /// The round under way.
        var attempt: RoundAttempt?
        /// The round that begins next. Its other members may send messages before this one has left the current round.
        var expected: RoundAttempt?
        /// Blobs of the session in which the newest order came.
        var blobs: BlobClient?
    }

    private let outbox: Outbox
    private let loader: PlanLoader
    private let executor: MemberExecutor
    private let log: Logger
    private let state: Mutex<State>
    /// Runs operations and the directives that must stay in order with them. Only this queue uses the executor.
    private let queue = DispatchQueue(label: "beamline.training")
    private let uploads = DispatchQueue(label: "beamline.checkpoints")

    init(settings: WorkerService.Settings, resources: ReadResources, outbox: Outbox, log: Logger) {
        self.outbox = outbox
        self.log = log
        loader = PlanLoader(settings: settings, resources: resources)
        executor = MemberExecutor(threads: settings.threads)
        state = Mutex(State(machine: MemberMachine()))
    }

    /// Takes the coordinator's order into a round, which may come more than once.
    func start(_ order: RoundOrder, _ blobs: BlobClient) {
        carryOut(
            decide { state in
                state.blobs = blobs
                return state.machine.ordered(order)
            })
    }

    /// Takes the coordinator's message that a round is over.
    func stop(round: RoundNumber) { carryOut(decide { $0.machine.stopped(round: round) }) }

    /// Takes the end of the session, which ends every round.
    func stop() { carryOut(decide { $0.machine.disconnected() }) }

    /// Takes a value that a member of a round has set.
    func rendezvous(round: RoundNumber, key: String, value: [UInt8]) {
        let attempts = state.withLock { [$0.attempt, $0.expected] }
        attempts.compactMap(\.self).first { $0.round == round }?.arrived(key, value)
    }

    // MARK: Directives

    private static func now() -> Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }

    /// A directive, with the round that was current when it was decided.
    private typealias Decision = (directive: MemberDirective, attempt: RoundAttempt?)

    /// Passes an input to the machine. Nothing is sent, encoded or computed under the lock.
    private func decide(_ input: (inout State) -> [MemberDirective]) -> [Decision] {
        state.withLock { state in
            let decisions = input(&state).map { directive -> Decision in
                if case .expect(let order) = directive, let blobs = state.blobs {
                    state.expected = RoundAttempt(round: order.round, outbox: outbox, blobs: blobs, loader: loader)
                }
                if case .begin = directive { (state.attempt, state.expected) = (state.expected, nil) }
                defer { if case .end = directive { state.attempt = nil } }
                return (directive, state.attempt)
            }
            outbox.inRound(state.machine.heartbeat)
            return decisions
        }
    }

    /// Carries out at once what need not wait for the operation under way, and the rest on the queue.
    private func carryOut(_ decisions: [Decision]) {
        var later: [Decision] = []
        for (directive, attempt) in decisions {
            switch directive {
            case .interrupt: attempt?.interrupt()
            case .send(let report, let round): outbox.send(.training(round: round, report))
            case .expect: break
            case .begin, .end, .store, .perform: later.append((directive, attempt))
            }
        }
        if !later.isEmpty { queue.async { [self, later] in run(later) } }
    }

    /// Carries out directives until no operation is left.
    private func run(_ decisions: [Decision]) {
        var decisions = decisions
        while true {
            var outcome: OperationOutcome?
            for (directive, attempt) in decisions {
                switch directive {
                case .interrupt: attempt?.interrupt()
                case .send(let report, let round): outbox.send(.training(round: round, report))
                case .expect: break
                case .begin(let order):
                    guard let attempt else { break }
                    log.info("training round \(order.round): member \(order.rank + 1) of \(order.members.count)")
                    executor.begin(order, attempt)
                case .end: executor.end()
                case .store: if let attempt { store(attempt) }
                case .perform(let operation): outcome = executor.perform(operation)
                }
            }
            guard let outcome else { return }
            decisions = decide { $0.machine.completed(outcome, now: Self.now()) }
        }
    }

    /// Stores the state at the coordinator while training goes on.
    private func store(_ attempt: RoundAttempt) {
        let state = executor.state
        uploads.async { [self] in
            do {
                guard let state, !attempt.isStopped else { throw RoundStopped() }
                let digest = try blocking { try await attempt.blobs.put(Checkpoint.encode(state)) }
                carryOut(decide { $0.machine.stored(digest: digest) })
            } catch { carryOut(decide { $0.machine.storeFailed("\(error)") }) }
        }
    }
}
