import Cluster
import Member
import Testing

@Suite struct MemberMachineTests {
    // MARK: The course of a round

    @Test func aTrainingRunsToItsEnd() {
        var driver = Driver()
        driver.order(Driver.order(1))
        #expect(driver.last == [.expect(Driver.order(1)), .begin(Driver.order(1)), .perform(.load)])
        driver.run()
        let epoch = [MemberOperation](repeating: .step, count: 4) + [.evaluate(.train), .evaluate(.validation)]
        #expect(
            driver.operations == [.load, .connect, .exchange(step: nil, epochs: []), .restore(.initial)]
                + [.startEpoch(0, stepsDone: 0)] + epoch + [.startEpoch(1, stepsDone: 0)] + epoch + [.report])
        #expect(driver.stores == 3)
        #expect(
            driver.machine.stored(digest: "a") == [
                .send(.checkpoint(digest: "a", step: 4, metrics: [Driver.metrics(epoch: 1)]), round: 1)
            ])
        #expect(
            driver.machine.stored(digest: "b") == [
                .send(.checkpoint(digest: "b", step: 8, metrics: [Driver.metrics(epoch: 2)]), round: 1)
            ])
        let report = TrainingReport.finished(
            digest: "c", step: 8, test: Driver.part(8), truncated: 3, evaluation: Driver.report(8))
        #expect(driver.machine.stored(digest: "c") == [.send(report, round: 1)])
        // It stays in the round until the coordinator stops it.
        #expect(driver.machine.heartbeat?.round == 1)
        #expect(driver.machine.stopped(round: 1) == [.end(round: 1)])
        #expect(driver.machine.heartbeat == nil && driver.machine.validate() == nil)
    }

    @Test func onlyTheFirstMemberStoresAndReports() {
        var driver = Driver()
        driver.order(Driver.order(1, rank: 1, members: 2))
        while let operation = driver.operation {
            driver.now += 60
            driver.complete(driver.success(operation, others: [RoundStatement(state: nil, epochs: [])]))
        }
        #expect(driver.operations.last == .report && driver.stores == 0 && driver.sent.isEmpty)
    }

    @Test func theHeartbeatReportsPhaseAndStep() {
        var driver = Driver()
        driver.order(Driver.order(3))
        #expect(driver.machine.heartbeat == Heartbeat.InRound(round: 3, phase: .loading, step: 0))
        driver.run { $0 == .connect }
        #expect(driver.machine.heartbeat?.phase == .connecting)
        driver.run { $0 == .step }
        driver.complete(.stepped(loss: 0))
        #expect(driver.machine.heartbeat == Heartbeat.InRound(round: 3, phase: .training, step: 1))
        driver.run { $0 == .evaluate(.train) }
        #expect(driver.machine.heartbeat == Heartbeat.InRound(round: 3, phase: .evaluating, step: 4))
    }

    @Test func theReportFollowsTheLastEpochAndIsRepeatedInTheNextRound() {
        var driver = Driver()
        driver.order(Driver.order(1))
        driver.run { $0 == .report }
        #expect(driver.operation == .report && driver.step == 8)
        #expect(driver.machine.heartbeat == Heartbeat.InRound(round: 1, phase: .evaluating, step: 8))
        // The round ends meanwhile: the report that comes all the same is not sent.
        driver.take(driver.machine.stopped(round: 1))
        #expect(driver.last == [.interrupt(round: 1)])
        driver.complete(.reported(Driver.report(8), truncated: 3))
        #expect(driver.last == [.end(round: 1)] && driver.machine.validate() == nil)
        driver.order(Driver.order(2, checkpoint: ("c", 8), epochs: 2))
        driver.run { $0 == .report }
        #expect(driver.operation == .report && driver.operations.count { $0 == .step } == 8)
        // One that cannot be made ends the round like any operation.
        driver.complete(.failed(MemberFailure("a site is away", cause: .transient)))
        #expect(driver.sent.last == .failed(reason: "a site is away", fatal: false, input: nil))
    }

    /// Where the metrics shape the training, a round that begins at an epoch's end computes them again, though the
    /// coordinator has them; and they may end the training before its last epoch.
    @Test func metricsThatShapeTheTrainingAreComputedInEachRound() {
        var driver = Driver()
        driver.order(Driver.order(2, checkpoint: ("c", 4), epochs: 1))
        driver.complete(.loaded(stepsPerEpoch: Driver.stepsPerEpoch, epochs: Driver.epochs, followsMetrics: true))
        driver.run { $0 == .evaluate(.validation) }
        #expect(driver.operations.suffix(2) == [.evaluate(.train), .evaluate(.validation)])
        var ending = driver
        driver.complete(.evaluated(Driver.part(4)))
        #expect(driver.operation == .startEpoch(1, stepsDone: 0) && driver.machine.validate() == nil)
        ending.complete(.evaluated(Driver.part(4), endsTraining: true))
        #expect(ending.operation == .report && ending.machine.validate() == nil)
        ending.run()
        #expect(ending.stores == 2 && ending.machine.validate() == nil && !ending.operations.contains(.step))
    }

    @Test func aPlanWithoutSamplesFailsTheJob() {
        var driver = Driver()
        driver.order(Driver.order(1))
        driver.complete(.loaded(stepsPerEpoch: 0, epochs: 2))
        #expect(driver.sent == [.failed(reason: "no event is in the training part", fatal: true, input: nil)])
        #expect(driver.last.last == .end(round: 1))
    }

    // MARK: Orders

    @Test func anOrderThatIsNotNewerBeginsNothing() {
        var driver = Driver.stepping(order: Driver.order(7))
        #expect(driver.machine.ordered(Driver.order(7)) == [] && driver.machine.ordered(Driver.order(6)) == [])
        _ = driver.machine.stopped(round: 7)
        driver.complete(.interrupted)
        #expect(driver.last == [.end(round: 7)])
        // It is over: an order that was under way meanwhile changes nothing.
        #expect(driver.machine.ordered(Driver.order(7)) == [])
        // And an order that its stop overtook.
        #expect(driver.machine.stopped(round: 8) == [] && driver.machine.ordered(Driver.order(8)) == [])
        driver.order(Driver.order(9))
        #expect(driver.operation == .load)
    }

    @Test func aNewerOrderWaitsForTheWorkUnderWay() {
        var driver = Driver.stepping(at: 2)
        driver.order(Driver.order(2))
        // Its members may find each other before this one has left round 1.
        #expect(driver.last == [.expect(Driver.order(2)), .interrupt(round: 1)])
        #expect(driver.machine.heartbeat == Heartbeat.InRound(round: 2, phase: .loading, step: 0))
        // A still newer one supersedes it; the interrupt is not repeated.
        driver.order(Driver.order(4))
        #expect(driver.last == [.expect(Driver.order(4))] && driver.machine.ordered(Driver.order(3)) == [])
        driver.complete(.interrupted)
        #expect(driver.last == [.end(round: 1), .begin(Driver.order(4)), .perform(.load)])
    }

    @Test func aRoundThatWaitsCanBeStopped() {
        var driver = Driver.stepping()
        driver.order(Driver.order(2))
        #expect(driver.machine.stopped(round: 2) == [] && driver.machine.heartbeat == nil)
        driver.complete(.interrupted)
        #expect(driver.last == [.end(round: 1)])
    }

    @Test func theStopOfANewerRoundEndsTheOlder() {
        var driver = Driver.stepping(order: Driver.order(5))
        // The order of round 6, and the stop of round 5, come later or never.
        #expect(driver.machine.stopped(round: 6) == [.interrupt(round: 5)])
        #expect(driver.machine.validate() == nil && driver.machine.heartbeat == nil)
        driver.complete(.interrupted)
        #expect(driver.last == [.end(round: 5)])
        #expect(driver.machine.ordered(Driver.order(6)) == [])
    }

    @Test func anOrderForARoundThatItLeftRepeatsTheReport() {
        var driver = Driver.stepping()
        driver.complete(.failed(MemberFailure("a site is away", cause: .transient, input: 3)))
        let report = TrainingReport.failed(reason: "a site is away", fatal: false, input: 3)
        #expect(driver.last == [.send(report, round: 1), .end(round: 1)])
        #expect(driver.machine.ordered(Driver.order(1)) == [.send(report, round: 1)])
        #expect(driver.machine.heartbeat == nil)
        driver.order(Driver.order(2))
        #expect(driver.operation == .load)
    }

    @Test func roundNumbersCountWithinASession() {
        var driver = Driver.stepping(order: Driver.order(900))
        driver.take(driver.machine.disconnected())
        #expect(driver.last == [.interrupt(round: 900)] && driver.machine.heartbeat == nil)
        driver.complete(.interrupted)
        // Another ledger may count from 1.
        driver.order(Driver.order(1))
        #expect(driver.last == [.expect(Driver.order(1)), .begin(Driver.order(1)), .perform(.load)])
        #expect(driver.machine.validate() == nil)
    }

    @Test func anInvalidOrderEndsTheRoundBeforeIt() {
        var driver = Driver.stepping()
        driver.order(Driver.order(2, rank: 2, members: 2))
        guard case .failed(let reason, false, nil, _)? = driver.sent.last else {
            Issue.record("\(driver.sent)")
            return
        }
        #expect(reason.contains("rank 2"))
        #expect(driver.last.first == .interrupt(round: 1) && driver.machine.validate() == nil)
        driver.complete(.interrupted)
        #expect(driver.last == [.end(round: 1)])
        #expect(driver.machine.ordered(Driver.order(2, rank: 2, members: 2)).count == 1)
    }

    @Test func theMembersThatCouldNotBeReachedAreReported() {
        for lost in [nil, [], [1]] as [[Int]?] {
            var driver = Driver.stepping()
            driver.complete(.failed(MemberFailure("no answer", cause: .transient, lost: lost)))
            #expect(driver.sent.last == .failed(reason: "no answer", fatal: false, input: nil, lost: lost))
        }
    }

    @Test func anInvalidOrderIsReportedAndBeginsNothing() {
        var driver = Driver()
        driver.order(Driver.order(1, rank: 2, members: 2))
        guard case .failed(_, false, nil, _)? = driver.sent.last, driver.last.count == 1 else {
            Issue.record("\(driver.last)")
            return
        }
    }

    // MARK: Stops and failures

    /// Whatever the member does when it is stopped, and however that ends: what was trained is kept, and nothing more
    /// is done.
    @Test func aStopAtAnyMoment() {
        var moments = 0
        while true {
            var driver = Driver()
            driver.order(Driver.order(1))
            var left = moments
            driver.run { _ in
                left -= 1
                return left < 0
            }
            guard let operation = driver.operation else { break }
            for succeeds in [true, false] {
                var copy = driver
                copy.take(copy.machine.stopped(round: 1))
                #expect(copy.last == [.interrupt(round: 1)] && copy.machine.heartbeat == nil)
                #expect(copy.machine.stopped(round: 1) == [])
                copy.complete(succeeds ? copy.success(operation) : .interrupted)
                #expect(copy.last == [.end(round: 1)], "\(operation)")
                #expect((copy.machine.memory?.step ?? -1) == copy.step, "\(operation)")
                #expect(copy.sent == driver.sent && copy.machine.validate() == nil)
                // It goes on from there.
                let known = max(0, Int(copy.step))
                copy.operations = []
                copy.order(Driver.order(2))
                copy.run()
                #expect(copy.operations.count { $0 == .step } == 8 - known)
            }
            moments += 1
        }
        #expect(moments == 19)
    }

    @Test func aFailureOfARoundThatIsOverIsNotReported() {
        var driver = Driver.stepping()
        driver.take(driver.machine.stopped(round: 1))
        driver.complete(.failed(MemberFailure("diverged", cause: .training)))
        #expect(driver.last == [.end(round: 1)] && driver.sent.isEmpty)
        #expect(driver.machine.ordered(Driver.order(1)) == [])
    }

    @Test(arguments: [
        (MemberFailure.Cause.training, true), (.job, true), (.transient, false),
    ]) func whatAFailureMeans(_ cause: MemberFailure.Cause, _ fatal: Bool) {
        var driver = Driver.stepping()
        driver.complete(.failed(MemberFailure("why", cause: cause)))
        #expect(driver.sent == [.failed(reason: "why", fatal: fatal, input: nil)])
    }

    @Test func anInterruptThatNobodyAskedForIsAFailure() {
        var driver = Driver.stepping()
        driver.complete(.interrupted)
        guard case .failed(_, false, nil, _)? = driver.sent.last else {
            Issue.record("\(driver.sent)")
            return
        }
        #expect(driver.last.last == .end(round: 1))
    }

    // MARK: Stores

    @Test func aStateThatCannotBeStoredEndsTheRound() {
        var driver = Driver.stepping(at: 5)
        #expect(driver.stores == 1)
        driver.take(driver.machine.storeFailed("the disk is full"))
        #expect(
            driver.last == [
                .send(
                    .failed(reason: "cannot store a checkpoint: the disk is full", fatal: false, input: nil, lost: []),
                    round: 1),
                .interrupt(round: 1),
            ])
        driver.complete(.interrupted)
        #expect(driver.last == [.end(round: 1)])
    }

    @Test func aStateThatIsStoredTooLateIsNotReported() {
        var driver = Driver.stepping(at: 5)
        driver.order(Driver.order(2))
        driver.complete(.interrupted)
        driver.run { $0 == .step }
        // Round 2 has handed over its own by now, since the coordinator knows of no epoch yet.
        #expect(driver.stores == 2)
        #expect(driver.machine.stored(digest: "late") == [])
        #expect(
            driver.machine.stored(digest: "own") == [
                .send(.checkpoint(digest: "own", step: 5, metrics: [Driver.metrics(epoch: 1)]), round: 2)
            ])
    }

    @Test func aStoreThatFailsTooLateEndsNothing() {
        var driver = Driver.stepping(at: 5)
        driver.order(Driver.order(2))
        driver.complete(.interrupted)
        #expect(driver.machine.storeFailed("the coordinator is away") == [])
        #expect(driver.machine.heartbeat?.round == 2)
    }

    // MARK: Reports

    @Test func progressIsReportedAtAPace() {
        var machine = MemberMachine.Settings()
        machine.checkpointSeconds = 1000
        var driver = Driver(MemberMachine(settings: machine))
        driver.order(Driver.order(1))
        driver.run { $0 == .step }
        var reports: [Int] = []
        for step in 1...3 {
            driver.now += 0.3
            driver.complete(.stepped(loss: 2))
            if driver.last.count > 1 { reports.append(step) }
        }
        #expect(reports == [3])
        guard case .progress(3, 0, 4, let rate, 2)? = driver.sent.last else {
            Issue.record("\(driver.sent)")
            return
        }
        #expect(abs(rate - 2 / 0.6) < 1e-9)
    }

    @Test func statesAreStoredAtAPaceAndAtEpochsEnds() {
        var driver = Driver()
        driver.order(Driver.order(1))
        driver.run { $0 == .step }
        func stores(after seconds: Double) -> Bool {
            driver.now += seconds
            driver.complete(.stepped(loss: 0))
            return driver.last.contains(.store(round: 1))
        }
        #expect(!stores(after: 19) && stores(after: 2) && !stores(after: 19))
        // The epoch's end is stored with its metrics alone.
        #expect(!stores(after: 2) && driver.operation == .evaluate(.train))
        driver.run { $0 == .step }
        #expect(driver.stores == 2)
        // The pace begins again with it.
        #expect(!stores(after: 19) && stores(after: 2))
    }
}
