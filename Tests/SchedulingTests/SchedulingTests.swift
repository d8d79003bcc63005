import Cluster
import Scheduling
import Testing

@Suite struct LeaseTableTests {
    private func table(_ units: [WorkUnit] = [WorkUnit(id: 1, sites: ["a"])]) -> LeaseTable {
        var table = LeaseTable()
        table.begin(1, units)
        return table
    }

    private func assign(
        _ table: inout LeaseTable, to worker: WorkerID, capacity: Int = 5, roots: [String] = [], now: Double = 0
    ) -> [Assignment] {
        let assignments = table.assign(
            1, to: .init(worker: worker, capacity: capacity, roots: roots, workers: 2), deadline: now + 10, now: now
        ) { _ in .max }
        #expect(table.validate() == nil)
        return assignments
    }

    @Test func aReceiptCountsOnce() {
        var table = table()
        let lease = assign(&table, to: 7)[0].lease
        #expect(table.check(lease) == .count)
        #expect(table.settle(lease, seconds: 1).complete)
        #expect(table.check(lease) == .unknown && table.isComplete(1) && table.validate() == nil)
    }

    @Test func anExpiredLeaseIsFencedOff() {
        var table = table()
        let old = assign(&table, to: 7)[0].lease
        #expect(table.expire(now: 9).overdue.isEmpty)
        #expect(table.expire(now: 12).overdue == [old])
        // Nobody else has it yet: the late receipt is as good as any.
        #expect(table.check(old) == .count)
        let new = assign(&table, to: 8, now: 12)[0].lease
        #expect(new.token > old.token && new.task == old.task)
        #expect(table.check(old) != .count)
        #expect(table.check(new) == .count)
    }

    @Test func renewalKeepsALeaseAndRestartsKeepIt() {
        var table = table()
        let lease = assign(&table, to: 7)[0].lease
        table.renew([lease], worker: 7, deadline: 30)
        #expect(table.expire(now: 20).overdue.isEmpty)
        var next = LeaseTable(nextToken: 100, nextTask: 100)
        next.begin(1, [WorkUnit(id: 1, sites: ["a"], next: 1)])
        next.restore(
            OpenTask(
                id: lease.task, extent: TaskExtent(job: 1, unit: 1, first: 0, end: 1), token: lease.token,
                secondToken: nil, attempts: 1, crashes: 0),
            deadline: 40, now: 30)
        #expect(next.check(lease) == .count && next.validate() == nil)
        #expect(next.expire(now: 45).overdue == [lease])
        #expect(assign(&next, to: 9, now: 45)[0].lease.token > lease.token)
    }

    @Test func aWorkerGetsOnlyWhatItCanRead() {
        var table = table([
            WorkUnit(id: 1, sites: ["local"], localPath: "/private/x.root"), WorkUnit(id: 2, sites: ["a"]),
        ])
        #expect(assign(&table, to: 7).map(\.unit) == [2])
        #expect(assign(&table, to: 8, roots: ["/private"]).map(\.unit) == [1])
    }

    @Test func chunksGrowOnFastSitesAndShrinkAtTheEnd() {
        var table = table([WorkUnit(id: 1, sites: ["a"], cuts: (1...100).map(Int32.init))])
        let first = assign(&table, to: 7, capacity: 1)[0]
        #expect(first.extent.first == 0 && first.extent.end == 1)
        _ = table.settle(first.lease, seconds: 0.5)
        let second = assign(&table, to: 7, capacity: 1)[0]
        #expect(second.extent.first == 1 && second.extent.end == 9)
        var last = second
        while let next = assign(&table, to: 7, capacity: 1).first {
            #expect(next.extent.first == last.extent.end)
            last = next
            _ = table.settle(next.lease, seconds: 0.01)
        }
        #expect(last.extent.end == 100 && last.extent.first == 99)
    }

    @Test func stragglersGetASecondWorkerAndTheFirstReceiptCounts() {
        var table = table()
        let first = assign(&table, to: 7)[0].lease
        let other = LeaseTable.Candidate(worker: 8, capacity: 1, roots: [], workers: 2)
        #expect(table.speculate(1, to: other, deadline: 20, now: 1) { _ in .max }.isEmpty)
        #expect(!table.hasStragglers(1, now: 5) && table.hasStragglers(1, now: 100))
        #expect(
            table.speculate(1, to: .init(worker: 7, capacity: 1, roots: [], workers: 2), deadline: 120, now: 100) { _ in
                .max
            }.isEmpty)
        let second = table.speculate(1, to: other, deadline: 120, now: 100) { _ in .max }[0].lease
        #expect(second.task == first.task && table.validate() == nil)
        #expect(
            table.speculate(1, to: .init(worker: 9, capacity: 1, roots: [], workers: 2), deadline: 120, now: 100) { _ in
                .max
            }.isEmpty)
        #expect(table.check(first) == .count && table.check(second) == .count)
        let settled = table.settle(second, seconds: 1)
        #expect(settled.complete && settled.straggler == 7)
        #expect(table.check(first) == .unknown && table.heldCount(7) == 0 && table.validate() == nil)
    }

    @Test func aPoisonTaskIsFound() {
        var table = table()
        var now = 0.0
        for (worker, isPoison) in [(WorkerID(7), false), (8, true)] {
            _ = assign(&table, to: worker, now: now)
            table.workerLeft(worker, tookLeave: false, died: "p", now: now)
            #expect(table.validate() == nil)
            now += 20
            #expect(table.expire(now: now).crashes.map(\.isPoison) == [isPoison])
        }
        // A worker that takes its leave gives back, and did not crash.
        _ = assign(&table, to: 9, now: now)
        table.workerLeft(9, tookLeave: true, died: nil, now: now)
        #expect(table.expire(now: now + 20).crashes.isEmpty && !assign(&table, to: 10, now: now + 20).isEmpty)
        // Where workers die without it too, two deaths mean nothing.
        var stormy = self.table()
        for worker in 100..<103 { stormy.workerLeft(WorkerID(worker), tookLeave: false, died: "p", now: 0) }
        now = 0
        for turn in 1...4 {
            _ = assign(&stormy, to: WorkerID(turn), now: now)
            stormy.workerLeft(WorkerID(turn), tookLeave: false, died: "p", now: now)
            now += 20
            #expect(stormy.expire(now: now).crashes.map(\.isPoison) == [turn == 4])
        }
    }

    @Test func theMapIsAsADictionary() {
        var map = IntegerMap<TaskID, Int>()
        var truth: [TaskID: Int] = [:]
        var random = SeededRandom(seed: 4)
        for turn in 0..<20_000 {
            let key = TaskID(random.below(300) - 100)
            if random.below(3) == 0 {
                (map[key], truth[key]) = (nil, nil)
            } else {
                (map[key], truth[key]) = (turn, turn)
            }
            let probe = TaskID(random.below(300) - 100)
            #expect(map[probe] == truth[probe])
        }
        #expect(map.count == truth.count && map.sortedKeys == truth.keys.sorted())
    }
}

@Suite struct LocalPathTests {
    @Test func onlyPathsBelowADeclaredDirectoryAreRead() {
        #expect(mayRead("/data/a.root", below: ["/data"]) && mayRead("/data/x/a.root", below: ["/other", "/data/"]))
        for path in ["/data/..", "/data/../etc/x", "/database/a.root", "/etc/x", "data/a.root"] {
            #expect(!mayRead(path, below: ["/data"]))
        }
        #expect(localPath(of: "file:///data/a.root") == "/data/a.root" && localPath(of: "file:/data/a") == "/data/a")
        #expect(localPath(of: "/data/a") == "/data/a" && localPath(of: "root://h:1//data/a") == nil)
    }
}

@Suite struct StorageURLTests {
    @Test func theirPartsAreFound() {
        func parts(_ url: String) -> [String] { [StorageURL(url).endpoint, StorageURL(url).path] }
        #expect(parts("root://u@h:1094//store//a.root?authz=x&tried=b") == ["root://h:1094", "/store//a.root"])
        #expect(
            parts("davs://h/a/b.root?x=/y") == ["davs://h", "/a/b.root"] && parts("root://h") == ["root://h", "/"])
        #expect(
            parts("root://h//a/?.root") == ["root://h", "/a/?.root"]
                && parts("root://h//s?/a") == ["root://h", "/s?/a"])
        #expect(parts("lfn:/store/a") == ["lfn", "/store/a"] && StorageURL("lfn:/x").kind == .logical)
        #expect(
            StorageURL("root://[::1]:1094//a").host == "::1" && StorageURL("root://h//a").isAt("h:1094")
                && !StorageURL("root://h:1//a").isAt("h:2"))
        #expect(
            StorageURL.join("root://h", "/a") == "root://h//a" && StorageURL.join("https://h", "/a") == "https://h/a")
        #expect(parts("https://evil?@h/a")[0] == "https://evil" && parts("https://evil#@h/a")[0] == "https://evil")
        #expect(StorageURL("https://a b/x").kind == .unsupported(scheme: "https"))
        #expect(StorageURL("davs://h/a").isEncrypted && !StorageURL("root://h/a").isEncrypted)
    }
}

@Suite struct PlannerTests {
    @Test func chunksAreWholeBlocks() {
        let boundaries: [Int64] = [0, 10, 20, 30, 100, 105]
        func cuts(_ boundaries: [Int64], _ clusters: [Int64], _ events: Int64, _ blocks: Int = .max) -> [Int32] {
            ChunkPlanner.cuts(boundaries, clusters: clusters, events: events, blocks: blocks)
        }
        #expect(cuts(boundaries, boundaries, 25) == [2, 3, 4, 5])
        #expect(cuts([0], [0], 10).isEmpty)
        #expect(cuts(boundaries, boundaries, 1000) == [5])
        // Inside a cluster nothing is cut, unless it is very long.
        #expect(cuts([0, 10, 20, 30, 40, 50], [0, 20, 50], 25) == [2, 5])
        #expect(cuts([0, 10, 20, 30, 40, 50], [0, 50], 5) == [2, 4, 5])
        #expect(cuts([0, 10, 20, 30], [0, 20, 30], 100, 1) == [1, 2, 3])
    }

    @Test func branchesAreResolved() throws {
        func survey(_ branches: [SurveyedBranch]) -> Survey {
            Survey(bytes: 1, identity: "i", entries: 1, boundaries: [0, 1], clusters: [0, 1], branches: branches)
        }
        func branch(
            _ name: String, _ type: String = "float", _ fixed: Int? = 1, _ reason: String? = nil
        ) -> SurveyedBranch {
            SurveyedBranch(name: name, type: type, fixedValues: fixed, itemValues: 1, unsupported: reason)
        }
        var job = JobDescription(name: "j", datasets: [])
        job.branches.drop = ["gen_*"]
        let first = survey([branch("x"), branch("gen_w"), branch("only"), branch("s", "string", 1, "text")])
        let second = survey([branch("x", "double"), branch("s", "string", 1, "text")])
        let found = try BranchResolution(job, files: [("a", first), ("b", second)])
        #expect(found.branches == ["x"])
        #expect(found.leftOut.count == 2)
        job.branches.keep = ["only"]
        #expect(throws: BranchResolution.Mistakes.self) {
            try BranchResolution(job, files: [("a", first), ("b", second)])
        }
        job.branches.keep = ["*"]
        let integer = survey([branch("x", "int32")])
        let error = #expect(throws: BranchResolution.Mistakes.self) {
            try BranchResolution(job, files: [("a", first), ("c", integer)])
        }
        #expect(error?.sentences[0].contains("a") == true && error?.sentences[0].contains("in c") == true)
    }
}

@Suite struct RoundKeeperTests {
    private func start(_ action: RoundKeeper.Action?) -> RoundKeeper.Membership? {
        if case .start(let membership)? = action { membership } else { nil }
    }

    @Test func everyChangeStartsANewRound() {
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
