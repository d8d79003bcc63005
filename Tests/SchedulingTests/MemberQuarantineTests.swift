import Cluster
import Scheduling
import Testing

@Suite struct MemberQuarantineTests {
    /// A round of `members` fails with these reports: the reporter, and the ranks it could not reach.
    private func fail(
        _ quarantine: inout MemberQuarantine, _ round: Int64, _ members: [WorkerID],
        _ reports: [(WorkerID, [Int]?)], now: Double
    ) -> MemberQuarantine.Decision? {
        quarantine.began(RoundNumber(round), members, now: now)
        for (reporter, lost) in reports {
            quarantine.reported(reporter, round: RoundNumber(round), lost: lost, "of \(reporter)")
        }
        return quarantine.decide(now: now)
    }

    @Test func theSecondFailureLeavesAWorkerOutForAGrowingTime() {
        var quarantine = MemberQuarantine()
        #expect(fail(&quarantine, 1, [1, 2], [(2, nil)], now: 0) == nil)
        #expect(quarantine.admitted([1, 2], running: [], now: 0) == [1, 2])
        let decision = fail(&quarantine, 2, [1, 2], [(2, nil)], now: 10)
        #expect(decision?.worker == 2 && decision?.seconds == MemberQuarantine.firstSeconds)
        #expect(decision?.reason.contains("of 2") == true && decision?.reason.hasPrefix("2 training rounds") == true)
        #expect(quarantine.admitted([1, 2], running: [], now: 19) == [1])
        #expect(quarantine.leftOut(2, now: 19)?.seconds == 1 && quarantine.leftOut(1, now: 19) == nil)
        #expect(quarantine.admitted([1, 2], running: [], now: 20) == [1, 2])
        #expect(fail(&quarantine, 3, [1, 2], [(2, nil)], now: 30)?.seconds == 2 * MemberQuarantine.firstSeconds)
        for round in 4..<80 {
            let decision = fail(&quarantine, Int64(round), [1, 2], [(2, nil)], now: 30)
            #expect((decision?.seconds ?? 0) <= MemberQuarantine.maxSeconds)
        }
        #expect(quarantine.leftOut(2, now: 30)?.seconds == MemberQuarantine.maxSeconds)
    }

    @Test func aStepWithOthersClearsAWorker() {
        var quarantine = MemberQuarantine()
        #expect(fail(&quarantine, 1, [1, 2], [(2, nil)], now: 0) == nil)
        quarantine.began(2, [1, 2], now: 5)
        quarantine.progressed()
        #expect(fail(&quarantine, 3, [1, 2], [(2, nil)], now: 10) == nil)
        // Alone it proves nothing of its connections.
        quarantine.began(4, [2], now: 15)
        quarantine.progressed()
        #expect(fail(&quarantine, 5, [1, 2], [(2, nil)], now: 20)?.worker == 2)
    }

    @Test func theMemberOfMostBrokenPairsIsResponsible() {
        var quarantine = MemberQuarantine()
        // 3 is reached by nobody; it names the others, and they name it.
        for round in 1...2 {
            let decision = fail(
                &quarantine, Int64(round), [3, 4, 5], [(3, [1, 2]), (4, [0]), (5, [0])], now: Double(round))
            #expect(decision?.worker == (round == 2 ? 3 : nil))
        }
        #expect(fail(&quarantine, 3, [3, 4, 5], [(4, [0])], now: 3)?.worker == 3)
    }

    @Test func oneThatHasTrainedWithOthersIsTrustedBeforeOneThatHasNot() {
        var quarantine = MemberQuarantine()
        quarantine.began(1, [1, 2], now: 0)
        quarantine.progressed()
        for round in 2...3 {
            // 9 names a member that trained.
            let decision = fail(&quarantine, Int64(round), [1, 9], [(9, [0])], now: Double(round))
            #expect(decision?.worker == (round == 3 ? 9 : nil))
        }
    }

    @Test func nobodyIsResponsibleForAConnectionThatWasClosed() {
        var quarantine = MemberQuarantine()
        for round in 1...5 {
            #expect(fail(&quarantine, Int64(round), [1, 2], [(1, []), (2, [])], now: Double(round)) == nil)
        }
        // Nor by a report of another round, or of one that is no member.
        quarantine.began(6, [1, 2], now: 6)
        quarantine.reported(1, round: 5, lost: nil, "late")
        quarantine.reported(7, round: 6, lost: nil, "elsewhere")
        quarantine.reported(2, round: 6, lost: [7, -1], "no such rank")
        #expect(quarantine.decide(now: 6) == nil && quarantine.admitted([1, 2], running: [], now: 6) == [1, 2])
    }

    @Test func aRunningRoundGoesOnAndTheLastWorkersAreKept() {
        var quarantine = MemberQuarantine()
        for round in 1...2 { _ = fail(&quarantine, Int64(round), [1, 2], [(1, nil)], now: 0) }
        #expect(quarantine.admitted([1], running: [], now: 1) == [1])
        #expect(quarantine.admitted([1, 2], running: [1, 2], now: 1) == [1, 2])
        #expect(quarantine.admitted([1, 2], running: [2], now: 1) == [2])
        #expect(quarantine.admitted([], running: [], now: 1) == [])
    }

    @Test func theKeeperDecidesBeforeTheNextRound() {
        var keeper = RoundKeeper(lanes: 4)
        keeper.begin(now: 0)
        var now = 1.0
        for round: RoundNumber in [1, 2] {
            _ = keeper.tick(now: now, available: [1, 2, 3], next: round)
            #expect(keeper.membership?.round == round && keeper.decide(now: now) == nil)
            keeper.reported(3, round: round, lost: [0, 1], "cannot connect")
            _ = keeper.failed("cannot connect", now: now)
            // This report comes when the round is over.
            keeper.reported(1, round: round, lost: [2], "cannot connect with 3")
            #expect(keeper.decide(now: now) == nil, "other reports may come")
            now += 3
            #expect(keeper.decide(now: now)?.worker == (round == 2 ? 3 : nil))
        }
        #expect(keeper.quarantine.admitted([1, 2, 3], running: [], now: now) == [1, 2])
        _ = keeper.tick(now: now, available: [1, 2], next: 3)
        for worker: WorkerID in [1, 2] { keeper.heartbeat(of: worker, .training, step: 1, now: now) }
        // A round that runs is not ended by the end of the time out, but by the worker that comes back.
        #expect(keeper.available([1, 2], now: now + 5) == nil)
    }
}
