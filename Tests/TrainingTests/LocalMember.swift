import Cluster
import Foundation
import Member
import Models
import Training

/// Why a member left its round.
struct MemberLeft: Error {
    let reason: String
    let fatal: Bool
}

/// A member of rounds within this process: the real machine and executor, without a coordinator.
// SAFETY: `run` uses it on one thread, and waits for that thread's end.
final class LocalMember: @unchecked Sendable {
    /// What the coordinator would know from the first member.
    struct Record {
        var epochs: [EpochMetrics] = []
        var test: PartMetrics?
        var evaluation: EvaluationReport?
        /// The state at the end, or where the member stopped.
        var checkpoint: [UInt8] = []
        var truncated: Int64 = 0
    }

    /// What a member has between rounds.
    struct Memory {
        var machine: MemberMachine
        var state: TrainingState?
    }

    private let plans: Plans
    private let rows: [RawBlock]
    private let executor: MemberExecutor
    private let stopAt: Int64?
    private let breaking: (step: Int64, slice: Int)?
    private var machine: MemberMachine
    private(set) var record = Record()
    /// The report with which the member left the round by itself.
    private(set) var failure: TrainingReport?

    /// - Parameters:
    ///   - memory: from an earlier round; nil for a new process.
    ///   - stopAt: the step after which the coordinator stops the member.
    ///   - breaking: the step whose sum breaks for this member before a slice; only in a training from the beginning.
    init(
        _ plans: Plans, _ rows: [RawBlock], threads: Int = 1, memory: Memory? = nil,
        stopAt: Int64? = nil, breaking: (step: Int64, slice: Int)? = nil
    ) {
        self.plans = plans
        self.rows = rows
        self.stopAt = stopAt
        self.breaking = breaking
        machine = memory?.machine ?? MemberMachine()
        executor = MemberExecutor(threads: threads, state: memory?.state)
    }

    var memory: Memory { Memory(machine: machine, state: executor.state) }

    /// Runs one round of several members to its end.
    /// - Parameter order: of the member with rank 0; the others' differ by their rank.
    static func run(_ order: RoundOrder, _ members: [LocalMember], checkpoint: [UInt8]? = nil) {
        let rendezvous = MemoryRendezvous()
        let group = DispatchGroup()
        for (rank, member) in members.enumerated() {
            var order = order
            order.rank = rank
            let own = order
            let thread = Thread {
                member.run(own, LocalRound(member.plans, member.rows, rendezvous, checkpoint, member.breaking))
                group.leave()
            }
            thread.stackSize = 8 << 20
            group.enter()
            thread.start()
        }
        group.wait()
    }

    private func run(_ order: RoundOrder, _ round: LocalRound) {
        var directives = machine.ordered(order)
        while let outcome = carryOut(directives, round) {
            directives = machine.completed(outcome, now: 0)
            if case .stepped = outcome, let state = executor.state, state.step == stopAt {
                record.checkpoint = Checkpoint.encode(state)
                _ = carryOut(machine.stopped(round: order.round), round)
                directives = machine.completed(.interrupted, now: 0)
            }
        }
        // As the coordinator does when a member has left, or at the end.
        if failure != nil { round.rendezvous.stop() }
        _ = carryOut(machine.stopped(round: order.round), round)
    }

    /// - Returns: how the operation ended that the directives end with.
    private func carryOut(_ directives: [MemberDirective], _ round: LocalRound) -> OperationOutcome? {
        var outcome: OperationOutcome?
        for directive in directives {
            switch directive {
            case .begin(let order): executor.begin(order, round)
            case .expect, .interrupt: break
            case .end: executor.end()
            case .store:
                record.checkpoint = executor.state.map(Checkpoint.encode) ?? []
                _ = carryOut(machine.stored(digest: "stored"), round)
            case .send(let report, _): note(report)
            case .perform(let operation):
                outcome = executor.perform(operation)
            }
        }
        return outcome
    }

    private func note(_ report: TrainingReport) {
        switch report {
        case .progress: break
        case .checkpoint(_, _, let metrics): record.epochs += metrics
        case .finished(_, _, let test, let truncated, let evaluation):
            (record.test, record.truncated, record.evaluation) = (test, truncated, evaluation)
        case .failed: failure = report
        }
    }
}
