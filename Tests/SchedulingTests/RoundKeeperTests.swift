import Cluster
import Scheduling
import Testing

@Suite struct RoundKeeperTests {
    private func start(_ action: RoundKeeper.Action?) -> RoundKeeper.Membership? {
        if case .start(let membership)? = action { membership } else { nil }
    }

    @Test func everyChangeStartsAnotherRound() {
        var keeper = RoundKeeper(lanes: 2, lastRound: 5)
        #expect(keeper.tick(now: 0, available: [1], next: 6) == nil)
        keeper.begin(now: 0)
        #expect(keeper.tick(now: 0.1, available: [1, 2], next: 6) == nil)
        #expect(keeper.tick(now: 2, available: [], next: 6) == nil)
        let first = start(keeper.tick(now: 2, available: [1, 2, 3], next: 6))
        #expect(first?.round == 6 && first?.members == [1, 2] && keeper.validate() == nil)
        // One more than there are lanes is no reason for a round.
        #expect(keeper.available([1, 2, 3], now: 60) == nil)
        #expect(keeper.available([2, 3], now: 61) == .stop(round: 6, members: [1, 2]))
        #expect(keeper.tick(now: 61.1, available: [2], next: 7) == nil)
        let second = start(keeper.tick(now: 62, available: [2], next: 7))
        #expect(second?.round == 7 && second?.owners == [0, 0])
        // A worker to take in is waited for: more may come.
        #expect(keeper.available([2, 3], now: 62.5) == nil && keeper.available([2, 3], now: 64) == nil)
        #expect(keeper.available([2, 3], now: 66) == .stop(round: 7, members: [2]))
        #expect(keeper.end() == nil && keeper.state == .idle)
    }

    @Test func roundsThatGetNowhereEnd() {
        var keeper = RoundKeeper(lanes: 1)
        keeper.begin(now: 0)
        var now = 2.0
        for _ in 0..<100 {
            switch keeper.tick(now: now, available: [1], next: (keeper.round ?? 0).next) {
            case .giveUp(let reason):
                #expect(reason.contains("boom"))
                return
            case .start, .stop, nil: _ = keeper.failed("boom", now: now)
            }
            now += 3
        }
        Issue.record("the rounds never ended")
    }

    @Test func aRoundThatHangsIsEnded() {
        var keeper = RoundKeeper(lanes: 4)
        keeper.begin(now: 0)
        _ = keeper.tick(now: 1, available: [1, 2], next: 1)
        // Loading may take as long as it takes.
        #expect(keeper.tick(now: 1000, available: [1, 2], next: 1) == nil)
        for worker: WorkerID in [1, 2] { keeper.heartbeat(of: worker, .training, step: 0, now: 1000) }
        #expect(keeper.tick(now: 1000 + RoundKeeper.stall - 1, available: [1, 2], next: 1) == nil)
        keeper.heartbeat(of: 1, .training, step: 5, now: 1050)
        keeper.heartbeat(of: 2, .training, step: 4, now: 1051)
        #expect(keeper.tick(now: 1051 + RoundKeeper.stall - 1, available: [1, 2], next: 1) == nil)
        #expect(
            keeper.tick(now: 1052 + RoundKeeper.stall, available: [1, 2], next: 1) == .stop(round: 1, members: [1, 2]))
    }

    /// Starts a round with these workers, and lets one of them die.
    private func lose(_ worker: WorkerID, of all: [WorkerID], _ keeper: inout RoundKeeper, at now: Double) {
        let next = (keeper.round ?? 0).next
        #expect(start(keeper.tick(now: now, available: all, next: next))?.round == next)
        keeper.died(worker, process: "p\(worker)", now: now + 1)
        _ = keeper.available(all.filter { $0 != worker }, now: now + 1)
    }

    private func checkDeaths(
        _ keeper: inout RoundKeeper, at now: Double, deaths: Int, back: Set<String> = []
    ) -> RoundKeeper.Action? {
        keeper.checkDeaths(now: now, timeout: 10, deaths: deaths) { back.contains($0) }
    }

    @Test func aTrainingThatKillsItsMembersIsGivenUp() {
        var keeper = RoundKeeper(lanes: 4)
        keeper.begin(now: 0)
        lose(1, of: [1, 2], &keeper, at: 1)
        #expect(checkDeaths(&keeper, at: 20, deaths: 1) == nil, "once is an accident")
        lose(2, of: [2], &keeper, at: 20)
        #expect(checkDeaths(&keeper, at: 30, deaths: 2) == nil, "it may come back")
        // More have died without it.
        #expect(checkDeaths(&keeper, at: 32, deaths: 4) == nil)
        guard case .giveUp(let reason)? = checkDeaths(&keeper, at: 32, deaths: 3) else {
            Issue.record("it goes on")
            return
        }
        #expect(reason.contains("workers died with it") && reason.contains("2 members in 2 training rounds"))
    }

    @Test func fiveRoundsAreEnoughWhateverElseDies() {
        var keeper = RoundKeeper(lanes: 4)
        keeper.begin(now: 0)
        for round in 0..<5 {
            #expect(checkDeaths(&keeper, at: Double(20 * round), deaths: 100) == nil)
            lose(WorkerID(round + 1), of: [WorkerID(round + 1)], &keeper, at: Double(20 * round + 1))
        }
        #expect(checkDeaths(&keeper, at: 100, deaths: 100) != nil)
    }

    @Test func deathsAreForgivenAfterAStepAndWhereTheProcessIsBack() {
        var keeper = RoundKeeper(lanes: 4)
        keeper.begin(now: 0)
        lose(1, of: [1, 2], &keeper, at: 1)
        lose(2, of: [2, 3], &keeper, at: 20)
        #expect(checkDeaths(&keeper, at: 40, deaths: 2, back: ["p2"]) == nil)
        lose(4, of: [3, 4], &keeper, at: 40)
        // The others do without it what it died at.
        _ = keeper.tick(now: 45, available: [3], next: 9)
        keeper.heartbeat(of: 3, .training, step: 1, now: 46)
        #expect(checkDeaths(&keeper, at: 60, deaths: 3) == nil)
        // All members of one round are one accident.
        _ = keeper.available([], now: 60)
        _ = keeper.tick(now: 61, available: [5, 6, 7], next: 10)
        for worker: WorkerID in [5, 6, 7] { keeper.died(worker, process: "p\(worker)", now: 62) }
        #expect(checkDeaths(&keeper, at: 80, deaths: 3) == nil)
        // A worker that was no member is none of its affairs.
        keeper.died(8, process: "p8", now: 80)
        #expect(checkDeaths(&keeper, at: 100, deaths: 4) == nil)
    }

    @Test func aFewOfManyMembersAreAnAccident() {
        var keeper = RoundKeeper(lanes: 16)
        keeper.begin(now: 0)
        let all = (1...10).map { WorkerID($0) }
        lose(1, of: all, &keeper, at: 1)
        lose(2, of: Array(all.dropFirst()), &keeper, at: 20)
        #expect(checkDeaths(&keeper, at: 40, deaths: 2) == nil)
    }

    @Test func aRestoredStateIsNoProgress() {
        var keeper = RoundKeeper(lanes: 4)
        keeper.begin(now: 0)
        #expect(start(keeper.tick(now: 1, available: [1, 3], next: 1)) != nil)
        for worker: WorkerID in [1, 3] { keeper.heartbeat(of: worker, .training, step: 7, now: 2) }
        keeper.died(1, process: "p1", now: 3)
        _ = keeper.available([3], now: 3)
        // Each round reports the step that it goes on from.
        #expect(start(keeper.tick(now: 20, available: [2, 3], next: 2)) != nil)
        for worker: WorkerID in [2, 3] { keeper.heartbeat(of: worker, .training, step: 7, now: 20.5) }
        keeper.died(2, process: "p2", now: 21)
        _ = keeper.available([3], now: 21)
        #expect(checkDeaths(&keeper, at: 40, deaths: 2) != nil)
    }

    @Test func aDeathIsNoticedAfterTheRoundHasFailed() {
        var keeper = RoundKeeper(lanes: 4)
        keeper.begin(now: 0)
        for (time, worker) in [(1.0, WorkerID(1)), (20.0, 2)] {
            #expect(start(keeper.tick(now: time, available: [worker, 3], next: (keeper.round ?? 0).next)) != nil)
            // The other one is faster with its complaint.
            #expect(keeper.failed("a member was lost", now: time + 1) != nil)
            keeper.died(worker, process: "p\(worker)", now: time + 1.5)
        }
        #expect(checkDeaths(&keeper, at: 40, deaths: 2) != nil)
    }

    @Test func lanesMoveAsLittleAsCanBe() {
        #expect(LaneAssignment.move([nil, nil, nil, nil, nil], to: [7, 8]).sorted() == [0, 0, 0, 1, 1])
        // Member 8 left: its lanes go to the others, theirs stay.
        #expect(LaneAssignment.move([7, 7, 8, 8, 9, 9], to: [7, 9]) == [0, 0, 0, 1, 1, 1])
        // Member 10 came: it takes what is beyond the others' shares.
        #expect(LaneAssignment.move([7, 7, 7, 9, 9, 9], to: [7, 9, 10]) == [0, 0, 2, 1, 1, 2])
        var random = SeededRandom(seed: 8)
        for _ in 0..<500 {
            let lanes = 1 + random.below(12)
            let owners = (0..<lanes).map { _ in WorkerID(random.below(6)) }
            let members = Array((0..<8).filter { _ in random.below(2) == 0 }.prefix(lanes)).map { WorkerID($0) }
            guard !members.isEmpty else { continue }
            let ranks = LaneAssignment.move(owners, to: members)
            let loads = members.indices.map { rank in ranks.count { $0 == rank } }
            #expect(
                loads.min()! >= lanes / members.count && loads.max()! <= (lanes + members.count - 1) / members.count)
            let kept = ranks.indices.count { members[ranks[$0]] == owners[$0] }
            // No more moves than the shares make necessary.
            let had = members.map { member in owners.count { $0 == member } }.sorted(by: >)
            let shares = members.indices.map { lanes / members.count + ($0 < lanes % members.count ? 1 : 0) }
            #expect(kept == zip(had, shares).reduce(0) { $0 + min($1.0, $1.1) })
        }
    }

    @Test func workersAreSharedByJobs() {
        func share(
            _ jobs: [(id: JobID, priority: Int, maxWorkers: Int, members: [WorkerID])], _ workers: [WorkerID]
        ) -> [[WorkerID]] {
            LaneAssignment.share(
                jobs.map { job in
                    LaneAssignment.Claim(
                        job: job.id, priority: job.priority, maxWorkers: job.maxWorkers, eligible: workers,
                        members: job.members)
                }
            ).sorted { $0.id < $1.id }.map(\.workers)
        }
        #expect(share([(1, 0, 8, [1, 2, 3, 4]), (2, 0, 8, [])], [1, 2, 3, 4]) == [[1, 2], [3, 4]])
        #expect(share([(1, 0, 8, []), (2, 5, 3, [])], [1, 2, 3, 4]) == [[4], [1, 2, 3]])
        #expect(share([(1, 0, 1, [2]), (2, 0, 8, [])], [1, 2, 3]) == [[2], [1, 3]])
        #expect(share([(1, 0, 8, []), (2, 0, 8, [])], [1]) == [[1], []])
    }
}
