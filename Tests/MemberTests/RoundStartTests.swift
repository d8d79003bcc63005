import Cluster
import Member
import Testing

@Suite struct RoundStartTests {
    private func state(_ step: Int64?, _ digest: String = "d", epochs: [Int] = []) -> RoundStatement {
        RoundStatement(
            state: step.map { .init(step: $0, digest: digest) }, epochs: epochs.map(Driver.metrics(epoch:)))
    }

    private func decide(_ steps: [Int64?], checkpoint: Int64? = nil) throws -> RoundStart {
        try RoundStart.decide(
            steps.map { state($0) }, checkpoint: checkpoint.map { CheckpointName(digest: "c", step: $0) })
    }

    @Test func theNewestStateWins() throws {
        #expect(try decide([nil, nil]) == .initial)
        #expect(try decide([nil, nil], checkpoint: 3) == .checkpoint(digest: "c", step: 3))
        #expect(try decide([2, nil], checkpoint: 3) == .checkpoint(digest: "c", step: 3))
        // As new as the checkpoint, but not everywhere: whoever lacks it would have to ask the coordinator anyway.
        #expect(try decide([3, nil], checkpoint: 3) == .checkpoint(digest: "c", step: 3))
        #expect(try decide([3, 3], checkpoint: 3) == .own(step: 3))
        #expect(try decide([4, 5, 5], checkpoint: 3) == .shared(rank: 1, step: 5))
        #expect(try decide([nil, 5]) == .shared(rank: 1, step: 5))
        #expect(try decide([5, 5], checkpoint: 3) == .own(step: 5))
        #expect(try decide([0]) == .own(step: 0))
    }

    @Test func twoStatesAfterOneStepAreAConflict() {
        let conflict = #expect(throws: RoundStart.Conflict.self) {
            try RoundStart.decide([state(4, "a"), state(5, "b"), state(4, "c")], checkpoint: nil)
        }
        #expect(conflict?.step == 4 && conflict?.ranks == [0, 2])
    }

    @Test func epochsAreMergedOnce() {
        let merged = RoundStart.epochs([state(8, epochs: [2]), state(8, epochs: [1, 2])])
        #expect(merged == [Driver.metrics(epoch: 1), Driver.metrics(epoch: 2)])
    }

    // MARK: As the machine applies it

    /// A member that stopped with its state after a step.
    private func stopped(at step: Int64) -> Driver {
        var driver = Driver.stepping(at: step)
        driver.take(driver.machine.stopped(round: 1))
        driver.complete(.interrupted)
        driver.operations = []
        return driver
    }

    @Test func memoryIsOfOneJobAndItsPlans() {
        let orders = [
            (Driver.order(2), true), (Driver.order(2, job: 2), false), (Driver.order(2, plan: "other"), false),
            (Driver.order(2, training: "other"), false),
        ]
        for (order, known) in orders {
            var driver = stopped(at: 2)
            driver.order(order)
            driver.run { $0 == .step }
            #expect(driver.operations.contains(.exchange(step: known ? 2 : nil, epochs: [])))
            #expect(driver.operations.contains(.restore(known ? .own(step: 2) : .initial)))
            #expect(driver.operations.contains(.startEpoch(0, stepsDone: known ? 2 : 0)))
        }
    }

    @Test func aRoundGoesOnWithinAnEpoch() {
        var driver = stopped(at: 6)
        driver.order(Driver.order(2))
        driver.run { $0 == .step }
        #expect(driver.operations.last == .step && driver.operations.contains(.startEpoch(1, stepsDone: 2)))
    }

    @Test func anEpochsEndIsEvaluatedWhereNobodyKnowsItsMetrics() {
        func firstOperation(epochs: Int, _ others: [RoundStatement]) -> Driver {
            var driver = Driver()
            driver.order(Driver.order(2, members: 2, checkpoint: ("c", 4), epochs: epochs))
            driver.run(others: others) {
                switch $0 {
                case .startEpoch, .evaluate, .report: true
                case .load, .connect, .exchange, .restore, .step: false
                }
            }
            return driver
        }
        // The checkpoint is of the epoch's last step, and its metrics were lost with the member that stored it.
        #expect(firstOperation(epochs: 0, [state(nil)]).operation == .evaluate(.train))
        // The coordinator knows them.
        #expect(firstOperation(epochs: 1, [state(nil)]).operation == .startEpoch(1, stepsDone: 0))
        // Another member knows them, and they are reported to the coordinator.
        let reported = firstOperation(epochs: 0, [state(nil, epochs: [1])])
        #expect(reported.operation == .startEpoch(1, stepsDone: 0) && reported.stores == 1)
        // What it knew already is not stored once more.
        #expect(firstOperation(epochs: 1, [state(nil, epochs: [1])]).stores == 0)
    }

    @Test func epochsBeyondTheStateAreTrainedAgain() {
        var driver = Driver()
        driver.order(Driver.order(2, members: 2))
        // A member that knows epoch 1's metrics, and has no state any more.
        driver.run(others: [state(nil, epochs: [1])]) { $0 == .evaluate(.train) }
        #expect(driver.machine.memory?.epochs == [] && driver.operations.count { $0 == .step } == 4)
        #expect(driver.operation == .evaluate(.train))
    }

    @Test func aFinishedTrainingOnlyNeedsItsReport() {
        var driver = Driver()
        driver.order(Driver.order(2, checkpoint: ("c", 8), epochs: 2))
        driver.run()
        #expect(driver.operations.suffix(2) == [.restore(.checkpoint(digest: "c", step: 8)), .report])
        #expect(driver.stores == 1)
    }

    @Test func differentStatesFailTheJobAndNameTheMembers() {
        var driver = stopped(at: 2)
        driver.order(Driver.order(2, members: 2))
        driver.run(others: [state(2, "another")])
        guard case .failed(let reason, true, nil, _)? = driver.sent.last else {
            Issue.record("\(driver.sent)")
            return
        }
        #expect(reason.contains("step 2") && reason.contains("m0 and m1"))
    }

    @Test func aCheckpointOfAnotherStepIsNotTrainedOn() {
        var driver = Driver()
        driver.order(Driver.order(2, checkpoint: ("c", 4), epochs: 1))
        driver.run { if case .restore = $0 { true } else { false } }
        driver.complete(.restored(step: 3))
        guard case .failed(let reason, false, nil, _)? = driver.sent.last else {
            Issue.record("\(driver.sent)")
            return
        }
        #expect(reason.contains("step 4") && reason.contains("step 3"))
        #expect(driver.machine.memory?.step == 3, "the shell has this state now")
    }

    @Test(arguments: [
        RoundStatement(state: .init(step: -1, digest: ""), epochs: []),
        RoundStatement(state: .init(step: .max, digest: ""), epochs: []),
        RoundStatement(state: nil, epochs: [Driver.metrics(epoch: 0)]),
        RoundStatement(state: nil, epochs: [Driver.metrics(epoch: 1 << 40)]),
    ]) func anInvalidStatementEndsTheRound(_ statement: RoundStatement) {
        var driver = Driver()
        driver.order(Driver.order(2, members: 2))
        driver.run(others: [statement])
        guard case .failed(let reason, false, nil, _)? = driver.sent.last else {
            Issue.record("\(driver.sent)")
            return
        }
        #expect(reason.contains("m1") && reason.contains("expected"), "\(reason)")
    }

    @Test func tooFewStatementsEndTheRound() {
        var driver = Driver()
        driver.order(Driver.order(2, members: 3))
        driver.run(others: [state(nil)])
        #expect(driver.sent.count == 1 && driver.last.last == .end(round: 2))
    }
}
