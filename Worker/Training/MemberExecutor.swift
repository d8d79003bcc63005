import Bytes
package import Cluster
package import Collectives
package import Features
import Foundation
package import Member
package import Models
package import Sampling

/// What a round trains on, and how.
package struct LoadedPlan: Sendable {
    package let data: DataPlan
    package let training: TrainingPlan
    /// How the training walks the data plan's lanes.
    package let schedule: LaneSchedule
    /// Gives the samples of the data plan's blocks.
    package let cache: RowCache

    package init(_ data: DataPlan, _ training: TrainingPlan, cache: RowCache) {
        self.data = data
        self.training = training
        self.cache = cache
        schedule = data.schedule(training)
    }
}

/// Gives a member access, during one round, to what lies outside its process.
package protocol RoundEnvironment: AnyObject, Sendable {
    /// The round was interrupted; the operation under way ends with `RoundStopped`.
    var isStopped: Bool { get }
    /// Fetches the round's plans.
    func load(_ order: RoundOrder) throws -> LoadedPlan
    /// Reads the blocks of the member's own lanes as far as the cache has room, so that no member waits for another's
    /// site in a step.
    func preload(_ order: RoundOrder, _ plan: LoadedPlan) throws
    /// Opens this member's end of the connections with the round's other members, which are connected next.
    func open(_ order: RoundOrder) throws -> any Communicator
    /// Fetches a checkpoint's bytes from the coordinator.
    func checkpoint(_ digest: String) throws -> [UInt8]
}

/// Carries out a member's operations, one at a time, and keeps its training state from round to round. If an operation
/// fails, the state is unchanged.
// SAFETY: whoever drives it makes one call at a time: TrainingRunner on its serial queue.
package final class MemberExecutor: @unchecked Sendable {
    private struct Attempt {
        let order: RoundOrder
        let environment: any RoundEnvironment
        var plan: LoadedPlan?
        var group: (any Communicator)?
        var trainer: Trainer?
    }

    private let threads: Int
    private var attempt: Attempt?
    private var kept: TrainingState?

    /// - Parameters:
    ///   - threads: how many compute at once.
    ///   - state: the state in memory from an earlier round.
    package init(threads: Int, state: TrainingState? = nil) {
        self.threads = threads
        kept = state
    }

    /// The state in memory, after the last step of this round or of an earlier one.
    package var state: TrainingState? { attempt?.trainer?.state ?? kept }

    /// The trainer of the current round; nil until its state is restored.
    package var trainer: Trainer? { attempt?.trainer }

    /// Begins a round, after the end of the one before. `environment` is kept until `end`.
    package func begin(_ order: RoundOrder, _ environment: any RoundEnvironment) {
        attempt = Attempt(order: order, environment: environment)
    }

    /// Closes the round's connections. The state stays.
    package func end() {
        kept = state
        attempt = nil
    }

    /// Carries out one operation of the round that began last, and blocks until it has ended. Errors become outcomes.
    package func perform(_ operation: MemberOperation) -> OperationOutcome {
        do { return try carryOut(operation) } catch { return outcome(of: error) }
    }

    private func carryOut(_ operation: MemberOperation) throws -> OperationOutcome {
        guard let attempt else { throw RoundStopped() }
        let (order, environment) = (attempt.order, attempt.environment)
        switch operation {
        case .load:
            let plan = try environment.load(order)
            self.attempt?.plan = plan
            try environment.preload(order, plan)
            return .loaded(
                stepsPerEpoch: plan.schedule.stepsPerEpoch, epochs: plan.training.epochs,
                followsMetrics: plan.training.course.followsMetrics)
        case .connect:
            let group = try environment.open(order)
            self.attempt?.group = group
            try group.connect()
            return .connected
        case .exchange(let step, let epochs):
            let state = try step.map {
                RoundStatement.State(step: $0, digest: try needed(kept, for: operation).digest)
            }
            return .exchanged(try exchange(RoundStatement(state: state, epochs: epochs)))
        case .restore(let start): return .restored(step: try restore(start, attempt))
        case .startEpoch(let epoch, let stepsDone):
            try needed(trainer, for: operation).startEpoch(epoch, stepsDone: stepsDone)
            return .started
        case .step: return .stepped(loss: try needed(trainer, for: operation).step())
        case .evaluate(let part):
            let trainer = try needed(trainer, for: operation)
            if part == .train, attempt.plan?.training.evaluatesTrain == false {
                return .evaluated(trainer.state.runningMetrics)
            }
            let metrics = try trainer.evaluate(part) { environment.isStopped }
            return .evaluated(metrics, endsTraining: part == .validation && trainer.endEpoch(metrics))
        case .report:
            let (report, truncated) = try needed(trainer, for: operation).report { environment.isStopped }
            return .reported(report, truncated: truncated)
        }
    }

    /// Unwraps what an earlier operation of the round has made.
    private func needed<T>(_ value: T?, for operation: MemberOperation) throws -> T {
        guard let value else {
            throw InputError(
                .corrupt, "a training member's operation comes before what it needs", found: "\(operation)")
        }
        return value
    }

    private func exchange(_ statement: RoundStatement) throws -> [RoundStatement] {
        let group = try needed(attempt?.group, for: .connect)
        guard let all = group.allGather("statement", [UInt8](try JSONEncoder().encode(statement))) else {
            throw RoundStopped()
        }
        return try all.map { try JSONDecoder().decode(RoundStatement.self, from: Data($0)) }
    }

    private func restore(_ start: RoundStart, _ attempt: Attempt) throws -> Int64 {
        let plan = try needed(attempt.plan, for: .restore(start))
        let group = try needed(attempt.group, for: .restore(start))
        let state = try Trainer.restore(
            start, plan.data, plan.training, group: group, own: kept, checkpoint: attempt.environment.checkpoint)
        self.attempt?.trainer = try Trainer(
            plan.data, plan.training, group: group, members: attempt.order.members, owners: attempt.order.owners,
            state: state,
            threads: threads, cache: plan.cache)
        // The trainer keeps it from now on.
        kept = nil
        return state.step
    }

    private func outcome(of error: any Error) -> OperationOutcome {
        if error is RoundStopped || attempt?.environment.isStopped == true { return .interrupted }
        if let failure = error as? TrainingFailure {
            return .failed(MemberFailure(failure.description, cause: .training))
        }
        let inputError = error as? InputError
        let input = inputError?.file.flatMap { file in
            attempt?.plan?.data.inputs.firstIndex { $0.file.urls.contains(file) }
        }
        return .failed(
            MemberFailure(
                "\(error)", cause: inputError?.code == .input ? .job : .transient, input: input,
                lost: attempt?.group?.lost))
    }
}
