import Cluster
import Member

/// A shell and a coordinator that do everything in random order, and check each directive against what they know.
struct RandomShell {
    struct Wrong: Error { let description: String }

    struct State: Equatable {
        var plan: String
        var step: Int64
    }

    /// What the coordinator has of one job.
    struct Job {
        var checkpoint: (digest: String, step: Int64)?
        var epochs: [Int] = []
        var isFinished = false
    }

    var random: SeededRandom
    var machine = MemberMachine()
    var now = 0.0
    /// The round that has begun and not ended, and its operation under way.
    var open: RoundOrder?
    /// The round that was ordered last and has not begun.
    var expected: RoundOrder?
    var operation: MemberOperation?
    var isInterrupted = false
    /// The step whose samples the lanes give next.
    var lanes: Int64?
    var state: State?
    /// States on their way to the coordinator.
    var storing: [Int64] = []
    /// By job; two jobs with two plans.
    var jobs = [Job](repeating: Job(), count: 2)
    /// What the coordinator holds to be running.
    var ordered: RoundOrder?
    var lastRound: RoundNumber = 0
    /// The newest round of the sessions before: nothing of them comes any more.
    var sessionStart: RoundNumber = 0
    var performed = 0

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    private func check(_ holds: Bool, _ text: @autoclosure () -> String) throws {
        if !holds { throw Wrong(description: text()) }
    }

    // MARK: Directives

    mutating func take(_ directives: [MemberDirective]) throws {
        for (index, directive) in directives.enumerated() {
            switch directive {
            case .expect(let order): expected = order
            case .begin(let order):
                try check(open == nil, "round \(order.round) begins within round \(open?.round ?? 0)")
                try check(expected == order, "round \(order.round) begins and \(expected?.round ?? 0) was expected")
                (open, expected, isInterrupted, lanes) = (order, nil, false, nil)
            case .interrupt(let round):
                try check(open?.round == round && operation != nil && !isInterrupted, "an interrupt of round \(round)")
                isInterrupted = true
            case .end(let round):
                try check(
                    open?.round == round && operation == nil,
                    "round \(round) ends during \(String(describing: operation))")
                (open, isInterrupted) = (nil, false)
            case .store(let round):
                try check(open?.round == round && open?.rank == 0 && !isInterrupted, "a store in round \(round)")
                storing.append(try step())
            case .send(let report, let round): try receive(report, round)
            case .perform(let next):
                try check(
                    open != nil && operation == nil && !isInterrupted, "\(next) while \(String(describing: operation))")
                try check(index == directives.count - 1, "\(next) is not the last directive")
                operation = next
                performed += 1
                try checkOperation(next)
            }
        }
        if let broken = machine.validate() { throw Wrong(description: broken) }
        if let memory = machine.memory {
            try check(
                state == State(plan: memory.order.dataPlan, step: memory.step),
                "memory \(memory) and \(String(describing: state))")
        }
        let heartbeat = machine.heartbeat
        try check(
            heartbeat == nil || heartbeat?.round == open?.round || isInterrupted,
            "a heartbeat of round \(heartbeat?.round ?? 0)")
    }

    private func step() throws -> Int64 {
        guard let state, state.plan == open?.dataPlan else { throw Wrong(description: "no state of the round's plan") }
        return state.step
    }

    private func checkOperation(_ operation: MemberOperation) throws {
        switch operation {
        case .load, .connect, .restore: break
        case .exchange(let known, _):
            try check(known == nil || known == (try step()), "it states step \(known ?? -1)")
        case .startEpoch(let epoch, let done):
            let start = Int64(epoch) * Driver.stepsPerEpoch
            try check(try step() == start + done && done < Driver.stepsPerEpoch, "epoch \(epoch) starts after \(done)")
        case .step:
            let step = try step()
            try check(step == lanes, "the samples of step \(lanes ?? -1) after step \(step)")
        case .evaluate(let part):
            let step = try step()
            try check(step > 0 && step % Driver.stepsPerEpoch == 0 && part != .test, "\(part) after \(step)")
        case .report:
            let step = try step()
            try check(step == Int64(Driver.epochs) * Driver.stepsPerEpoch, "the report after \(step)")
        }
    }

    private mutating func receive(_ report: TrainingReport, _ round: RoundNumber) throws {
        guard let ordered, ordered.round == round else { return }
        let job = Int(ordered.job.rawValue)
        switch report {
        case .progress: try check(ordered.rank == 0, "progress of rank \(ordered.rank)")
        case .checkpoint(let digest, let step, let metrics):
            try check(digest == "\(step)", "the digest of step \(digest) for step \(step)")
            for metrics in metrics {
                let expected = Driver.metrics(epoch: metrics.epoch)
                try check(metrics == expected, "metrics of epoch \(metrics.epoch) from step \(metrics.train.events)")
                if !jobs[job].epochs.contains(metrics.epoch) { jobs[job].epochs.append(metrics.epoch) }
            }
            if jobs[job].checkpoint?.step ?? -1 <= step { jobs[job].checkpoint = (digest, step) }
        case .finished(_, let step, let test, _, let evaluation):
            try check(test.events == step && step == 8, "the end after step \(step)")
            try check(evaluation == Driver.report(step), "the report is not of step \(step)")
            try check(jobs[job].epochs.sorted() == [1, 2], "the end with the epochs \(jobs[job].epochs)")
            jobs[job].isFinished = true
        case .failed(_, let fatal, _, _):
            try check(!fatal, "a failure is fatal")
            try take(machine.stopped(round: round))
            self.ordered = nil
        }
    }

    // MARK: Events

    private mutating func chance(_ percent: Int) -> Bool { random.below(100) < percent }

    /// One of all the things that can happen now.
    mutating func happen() throws {
        now += Double(random.below(30))
        switch random.below(20) {
        case 0: try take(machine.ordered(newOrder()))
        case 1: if let ordered { try take(machine.ordered(ordered)) }
        case 2:
            // An old order, late.
            let round = anyRound()
            if round < lastRound, round > sessionStart { try take(machine.ordered(Driver.order(round))) }
        case 3:
            if let round = ordered?.round {
                ordered = nil
                try take(machine.stopped(round: round))
            }
        case 4: if lastRound > 0 { try take(machine.stopped(round: anyRound())) }
        case 5 where chance(20):
            (ordered, sessionStart) = (nil, lastRound)
            try take(machine.disconnected())
        case 6, 7: try upload(succeeds: !chance(10))
        case 8 where chance(20): try complete(.failed(MemberFailure("something", cause: .transient)))
        default: try complete(nil)
        }
        // A round that the coordinator has ended is not what it ordered.
        if let round = ordered?.round, machine.heartbeat?.round != round, open == nil { ordered = nil }
    }

    /// A round that was ordered at some time.
    private mutating func anyRound() -> RoundNumber {
        RoundNumber(1 + random.below(max(1, Int(lastRound.rawValue))))
    }

    private mutating func newOrder() -> RoundOrder {
        lastRound = lastRound.next
        let job = random.below(2)
        // Later epochs' metrics may be known without earlier ones' only where they were lost; the largest counts.
        let order = Driver.order(
            lastRound, job: JobID(job), rank: random.below(2), members: 2, plan: "p\(job)",
            checkpoint: jobs[job].checkpoint, epochs: jobs[job].epochs.max() ?? 0)
        ordered = order
        return order
    }

    mutating func upload(succeeds: Bool) throws {
        guard !storing.isEmpty else { return }
        let step = storing.removeFirst()
        try take(succeeds ? machine.stored(digest: "\(step)") : machine.storeFailed("the disk is full"))
    }

    /// Ends the operation under way; with success if `outcome` is nil.
    mutating func complete(_ outcome: OperationOutcome?) throws {
        guard let operation, let open else { return }
        var outcome = outcome ?? success(operation, open)
        if isInterrupted, chance(60) { outcome = .interrupted }
        self.operation = nil
        switch outcome {
        case .restored(let step): state = State(plan: open.dataPlan, step: step)
        case .stepped:
            state?.step += 1
            lanes = lanes.map { $0 + 1 }
        case .started: lanes = state?.step
        case .loaded, .connected, .exchanged, .evaluated, .reported, .interrupted, .failed: break
        }
        try take(machine.completed(outcome, now: now))
    }

    private func success(_ operation: MemberOperation, _ order: RoundOrder) -> OperationOutcome {
        switch operation {
        case .load: .loaded(stepsPerEpoch: Driver.stepsPerEpoch, epochs: Driver.epochs)
        case .connect: .connected
        case .exchange(let step, let epochs):
            .exchanged(
                statements(RoundStatement(state: step.map { .init(step: $0, digest: "d\($0)") }, epochs: epochs), order)
            )
        case .restore(let start): .restored(step: start.step)
        case .startEpoch: .started
        case .step: .stepped(loss: 0.5)
        case .evaluate: .evaluated(Driver.part(state?.step ?? -1))
        case .report: .reported(Driver.report(state?.step ?? -1), truncated: 0)
        }
    }

    /// The other member is new, or a step behind.
    private func statements(_ own: RoundStatement, _ order: RoundOrder) -> [RoundStatement] {
        var other = RoundStatement(state: nil, epochs: [])
        if let step = own.state?.step, step > 0, order.round.rawValue % 3 > 0 {
            other.state = .init(step: step - 1, digest: "d\(step - 1)")
        }
        return order.rank == 0 ? [own, other] : [other, own]
    }
}
