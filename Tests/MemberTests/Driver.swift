import Cluster
import Member

/// Drives a machine step by step, as a shell would whose operations always succeed, and keeps what it sends.
struct Driver {
    static let stepsPerEpoch: Int64 = 4
    static let epochs = 2

    var machine: MemberMachine
    var now = 0.0
    /// Directives of the last input.
    var last: [MemberDirective] = []
    var sent: [TrainingReport] = []
    var operations: [MemberOperation] = []
    var stores = 0
    /// The state of the simulated memory.
    var step: Int64 = -1

    init(_ machine: MemberMachine = MemberMachine()) { self.machine = machine }

    static func order(
        _ round: RoundNumber, job: JobID = 1, rank: Int = 0, members: Int = 1, plan: String = "plan",
        training: String = "training",
        checkpoint: (digest: String, step: Int64)? = nil, epochs: Int = 0
    ) -> RoundOrder {
        RoundOrder(
            job: job, round: round, rank: rank, members: (0..<members).map { "m\($0)" }, owners: [0], dataPlan: plan,
            trainingPlan: training,
            checkpoint: checkpoint?.digest, checkpointStep: checkpoint?.step ?? 0, epochs: epochs)
    }

    static func part(_ step: Int64) -> PartMetrics { PartMetrics(events: step, loss: 0, auc: 0, accuracy: 0) }

    static func report(_ step: Int64) -> EvaluationReport {
        var report = EvaluationReport()
        report.test.metrics = part(step)
        return report
    }

    static func metrics(epoch: Int) -> EpochMetrics {
        let part = part(Int64(epoch) * stepsPerEpoch)
        return EpochMetrics(epoch: epoch, train: part, validation: part)
    }

    var operation: MemberOperation? {
        guard case .perform(let operation)? = last.last else { return nil }
        return operation
    }

    mutating func take(_ directives: [MemberDirective]) {
        last = directives
        for directive in directives {
            switch directive {
            case .send(let report, _): sent.append(report)
            case .store: stores += 1
            case .perform(let operation): operations.append(operation)
            case .expect, .begin, .interrupt, .end: break
            }
        }
    }

    mutating func order(_ order: RoundOrder) { take(machine.ordered(order)) }

    mutating func complete(_ outcome: OperationOutcome) {
        switch outcome {
        case .restored(let step): self.step = step
        case .stepped: step += 1
        case .loaded, .connected, .exchanged, .started, .evaluated, .reported, .interrupted, .failed: break
        }
        take(machine.completed(outcome, now: now))
    }

    /// The outcome of an operation that succeeds.
    /// - Parameter others: the statements of the members with rank 1 and on.
    func success(_ operation: MemberOperation, others: [RoundStatement] = []) -> OperationOutcome {
        switch operation {
        case .load: .loaded(stepsPerEpoch: Self.stepsPerEpoch, epochs: Self.epochs)
        case .connect: .connected
        case .exchange(let step, let epochs):
            .exchanged([RoundStatement(state: step.map { .init(step: $0, digest: "d\($0)") }, epochs: epochs)] + others)
        case .restore(let start): .restored(step: start.step)
        case .startEpoch: .started
        case .step: .stepped(loss: 0.5)
        case .evaluate: .evaluated(Self.part(step))
        case .report: .reported(Self.report(step), truncated: 3)
        }
    }

    /// Lets operations succeed until `stop` is true for the next one, or none is left.
    mutating func run(others: [RoundStatement] = [], until stop: (MemberOperation) -> Bool = { _ in false }) {
        while let operation, !stop(operation) { complete(success(operation, others: others)) }
    }

    /// The machine in the midst of a step of a fresh training.
    static func stepping(at step: Int64 = 0, order: RoundOrder = order(1)) -> Driver {
        var driver = Driver()
        driver.order(order)
        var steps = 0
        driver.run { operation in
            if operation == .step { steps += 1 }
            return steps > step
        }
        return driver
    }
}
