import Cluster
import Scheduling
import Testing

@Suite struct LeaseTableTests {
    @Test func aReceiptCountsOnce() {
        var table = LeaseTable()
        table.add(1, url: "root://a//x")
        let lease = table.lend(to: 7, room: 5, deadline: 10) { _ in true }[0]
        #expect(table.judge(lease, digest: "d") == .count)
        table.settle(lease, digest: "d")
        #expect(table.judge(lease, digest: "d") == .countedAlready)
        #expect(table.judge(lease, digest: "e") != .countedAlready)
        #expect(table.openCount == 0)
    }

    @Test func anExpiredLeaseIsFencedOff() {
        var table = LeaseTable()
        table.add(1, url: "root://a//x")
        let old = table.lend(to: 7, room: 1, deadline: 10) { _ in true }[0]
        #expect(table.expire(now: 9).isEmpty)
        #expect(table.expire(now: 11) == [1])
        // Nobody else has it yet: the late receipt is as good as any.
        #expect(table.judge(old, digest: "d") == .count)
        let new = table.lend(to: 8, room: 1, deadline: 20) { _ in true }[0]
        #expect(new.token > old.token)
        #expect(table.judge(old, digest: "d") != .count)
        #expect(table.judge(new, digest: "d") == .count)
    }

    @Test func renewalKeepsALeaseAndRestartsKeepTokensGrowing() {
        var table = LeaseTable()
        table.add(1, url: "a")
        let lease = table.lend(to: 7, room: 1, deadline: 10) { _ in true }[0]
        table.renew([lease], worker: 7, deadline: 30)
        #expect(table.expire(now: 20).isEmpty)
        var next = LeaseTable()
        next.add(1, url: "a")
        next.restore(lease, worker: 7, deadline: 40)
        #expect(next.judge(lease, digest: "d") == .count)
        #expect(next.expire(now: 41) == [1])
        #expect(next.lend(to: 9, room: 1, deadline: 50) { _ in true }[0].token > lease.token)
    }

    @Test func aWorkerGetsOnlyWhatItCanRead() {
        var table = LeaseTable()
        table.add(1, url: "/private/x.root")
        table.add(2, url: "root://a//x")
        #expect(table.lend(to: 7, room: 5, deadline: 1) { $0.hasPrefix("root:") }.map(\.task) == [2])
    }
}

@Suite struct LocalPathTests {
    @Test func onlyPathsBelowADeclaredDirectoryAreRead() {
        #expect(mayRead("/data/a.root", below: ["/data"]) && mayRead("/data/x/a.root", below: ["/other", "/data/"]))
        for path in ["/data/..", "/data/../etc/x", "/database/a.root", "/etc/x", "data/a.root"] { #expect(!mayRead(path, below: ["/data"])) }
        #expect(localPath(of: "file:///data/a.root") == "/data/a.root" && localPath(of: "file:/data/a") == "/data/a")
        #expect(localPath(of: "/data/a") == "/data/a" && localPath(of: "root://h:1//data/a") == nil)
    }
}

@Suite struct StorageURLTests {
    @Test func theirPartsAreFound() {
        func parts(_ url: String) -> [String] { [StorageURL(url).endpoint, StorageURL(url).path] }
        #expect(parts("root://u@h:1094//store//a.root?authz=x&tried=b") == ["root://h:1094", "/store//a.root"])
        #expect(parts("davs://h/a/b.root?x=/y") == ["davs://h", "/a/b.root"] && parts("root://h") == ["root://h", "/"])
        #expect(parts("root://h//a/?.root") == ["root://h", "/a/?.root"] && parts("root://h//s?/a") == ["root://h", "/s?/a"])
        #expect(parts("lfn:/store/a") == ["lfn", "/store/a"] && StorageURL("lfn:/x").kind == .logical)
        #expect(StorageURL("root://[::1]:1094//a").host == "::1" && StorageURL("root://h//a").isAt("h:1094") && !StorageURL("root://h:1//a").isAt("h:2"))
        #expect(StorageURL.join("root://h", "/a") == "root://h//a" && StorageURL.join("https://h", "/a") == "https://h/a")
        #expect(parts("https://evil?@h/a")[0] == "https://evil" && parts("https://evil#@h/a")[0] == "https://evil")
        #expect(StorageURL("https://a b/x").kind == .unsupported(scheme: "https"))
        #expect(StorageURL("davs://h/a").isEncrypted && !StorageURL("root://h/a").isEncrypted)
    }
}

@Suite struct PlannerTests {
    @Test func chunksAreWholeBlocks() {
        let boundaries: [Int64] = [0, 10, 20, 30, 100, 105]
        let chunks = ChunkPlanner.chunks(boundaries, clusters: boundaries, events: 25)
        #expect(chunks == [[0, 10, 20], [20, 30], [30, 100], [100, 105]])
        #expect(ChunkPlanner.chunks([0], clusters: [0], events: 10).isEmpty)
        #expect(ChunkPlanner.chunks(boundaries, clusters: boundaries, events: 1000) == [boundaries])
        // Inside a cluster nothing is cut, unless it is very long.
        #expect(ChunkPlanner.chunks([0, 10, 20, 30, 40, 50], clusters: [0, 20, 50], events: 25) == [[0, 10, 20], [20, 30, 40, 50]])
        #expect(ChunkPlanner.chunks([0, 10, 20, 30, 40, 50], clusters: [0, 50], events: 5) == [[0, 10, 20], [20, 30, 40], [40, 50]])
        #expect(ChunkPlanner.chunks([0, 10, 20, 30], clusters: [0, 20, 30], events: 100, blocks: 1) == [[0, 10], [10, 20], [20, 30]])
    }

    private func block(_ dataset: Int, _ rows: [Int]) -> TrainingBlock {
        TrainingBlock(dataset: dataset, label: dataset, input: 0, first: 0, end: Int64(rows.reduce(0, +)), rows: rows)
    }

    @Test func lanesHoldEachRowOnceAndTheDatasetsInProportion() {
        let blocks = [block(0, [640, 160, 200]), block(1, [1280, 320, 400]), block(1, [0, 0, 0]), block(1, [7, 1, 0])]
        let lanes = LanePlan.deal(blocks, lanes: 8, seed: 42)
        #expect(lanes == LanePlan.deal(blocks, lanes: 8, seed: 42))
        #expect(lanes != LanePlan.deal(blocks, lanes: 8, seed: 43))
        for (index, block) in blocks.enumerated() {
            for part in 0..<3 {
                var seen = [Int](repeating: 0, count: block.rows[part])
                for piece in lanes.joined() where piece.block == index { for row in piece.rows[part] { seen[row] += 1 } }
                #expect(seen.allSatisfy { $0 == 1 })
            }
        }
        for lane in lanes {
            let signal = lane.filter { blocks[$0.block].dataset == 0 }.reduce(0) { $0 + $1.rows[0].count }
            #expect(abs(signal - 80) <= 60)
        }
        let manifest = TrainingManifest(training: .init(), split: .init(), labelBranch: nil, schema: .init(inputs: []), inputs: [], blocks: blocks, lanes: lanes)
        #expect((0..<8).map(manifest.batch(ofLane:)).reduce(0, +) == 100)
    }

    @Test func branchesAreResolved() throws {
        func survey(_ branches: [SurveyedBranch]) -> Survey { Survey(bytes: 1, identity: "i", entries: 1, boundaries: [0, 1], clusters: [0, 1], branches: branches) }
        func branch(_ name: String, _ type: String = "float", _ fixed: Int? = 1, _ reason: String? = nil) -> SurveyedBranch {
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
        #expect(throws: BranchResolution.Mistakes.self) { try BranchResolution(job, files: [("a", first), ("b", second)]) }
        job.branches.keep = ["*"]
        let integer = survey([branch("x", "int32")])
        let error = #expect(throws: BranchResolution.Mistakes.self) { try BranchResolution(job, files: [("a", first), ("c", integer)]) }
        #expect(error?.sentences[0].contains("a") == true && error?.sentences[0].contains("in c") == true)
    }
}

@Suite struct RoundKeeperTests {
    @Test func everyChangeStartsANewRound() {
        var keeper = RoundKeeper(lastRound: 5)
        #expect(keeper.tick(now: 0, available: [1], lanes: 8) == nil)
        keeper.begin(now: 0)
        #expect(keeper.tick(now: 0.5, available: [1, 2], lanes: 8) == nil)
        #expect(keeper.tick(now: 2, available: [], lanes: 8) == nil)
        #expect(keeper.tick(now: 2, available: [1, 2, 3], lanes: 2) == .start(round: 6, members: [1, 2]))
        #expect(keeper.membershipChanged(now: 3) == .stop(round: 6, members: [1, 2]))
        #expect(keeper.membershipChanged(now: 3.5) == nil)
        #expect(keeper.tick(now: 4, available: [2], lanes: 2) == nil)
        #expect(keeper.tick(now: 5, available: [2], lanes: 2) == .start(round: 7, members: [2]))
        #expect(keeper.end() == .stop(round: 7, members: [2]))
    }

    @Test func growthIsNoFailure() {
        var keeper = RoundKeeper()
        keeper.begin(now: 0)
        for turn in 1...100 {
            let now = Double(2 * turn)
            #expect(keeper.tick(now: now, available: [1], lanes: 1) == .start(round: Int64(turn), members: [1]))
            _ = keeper.membershipChanged(now: now)
        }
    }

    @Test func roundsThatGetNowhereEnd() {
        var keeper = RoundKeeper()
        keeper.begin(now: 0)
        var now = 2.0
        for _ in 0..<100 {
            switch keeper.tick(now: now, available: [1], lanes: 1) {
            case .giveUp(let reason):
                #expect(reason.contains("boom"))
                return
            default: _ = keeper.membershipChanged(now: now, failure: "boom")
            }
            now += 2
        }
        Issue.record("the rounds never ended")
    }
}
