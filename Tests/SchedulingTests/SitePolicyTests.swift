import Cluster
import Scheduling
import Testing

@Suite struct SitePolicyTests {
    /// A worker's totals as they grow.
    private final class Worker {
        var report = SiteReport(site: "S")

        func reads(_ count: Int64, bytes: Int64, waiting: Int = 1) -> [SiteReport] {
            report.reads += count
            report.bytes += bytes
            report.readsWaiting = waiting
            report.failuresInRow = 0
            return [report]
        }

        func fails(_ count: Int) -> [SiteReport] {
            for _ in 0..<count { report.count(.unreachable, "no") }
            return [report]
        }
    }

    private func directive(_ policy: inout SitePolicy) -> SiteDirective? { policy.changes().last { $0.site == "S" } }

    @Test func readsGrowWhileThatHelpsAndAreHalvedByErrors() {
        var policy = SitePolicy()
        let worker = Worker()
        var now = 0.0
        policy.report(worker.reads(1, bytes: 1), from: 1, maxReads: { _ in 40 }, now: now)
        var reads = 16
        // A site that gives 1 MB/s for each read under way, up to 30 of them.
        for _ in 0..<30 {
            now += 2
            policy.report(
                worker.reads(100, bytes: Int64(min(reads, 30)) * 2_000_000), from: 1, maxReads: { _ in 40 }, now: now)
            policy.tick(now: now)
            reads = directive(&policy)?.reads ?? reads
            #expect(policy.validate() == nil)
        }
        #expect((28...34).contains(reads), "\(reads)")
        now += 2
        policy.report(worker.fails(1), from: 1, maxReads: { _ in 40 }, now: now)
        policy.tick(now: now)
        #expect(directive(&policy)?.reads == reads / 2)
    }

    @Test func aSiteThatFailsIsExcludedAndProbed() {
        var policy = SitePolicy()
        let worker = Worker()
        policy.report(worker.reads(10, bytes: 10), from: 1, maxReads: { _ in 64 }, now: 0)
        policy.report(worker.fails(4), from: 1, maxReads: { _ in 64 }, now: 1)
        #expect(!policy.isExcluded("S"))
        policy.report(worker.fails(1), from: 1, maxReads: { _ in 64 }, now: 1.1)
        #expect(policy.isExcluded("S") && directive(&policy)?.excluded == true && policy.maxTasks("S") == 0)
        #expect(policy.statuses(now: 1.1)[0].excludedFor == 2)
        policy.tick(now: 3)
        #expect(policy.isExcluded("S"))
        policy.tick(now: 3.2)
        #expect(policy.isProbing("S") && policy.maxTasks("S") == 1 && directive(&policy)?.excluded == false)
        // The probe fails: longer this time.
        policy.report(worker.fails(1), from: 1, maxReads: { _ in 64 }, now: 4)
        #expect(policy.statuses(now: 4)[0].excludedFor == 4)
        policy.tick(now: 8)
        policy.report(worker.reads(1, bytes: 5), from: 1, maxReads: { _ in 64 }, now: 9)
        #expect(policy.health("S") == .healthy && policy.maxTasks("S") == .max)
        #expect(policy.validate() == nil)
    }

    @Test func oneWorkersOwnFailuresExcludeNoSite() {
        var policy = SitePolicy()
        let (good, bad) = (Worker(), Worker())
        for time in 0..<10 {
            policy.report(good.reads(5, bytes: 50), from: 1, maxReads: { _ in 64 }, now: Double(time))
            policy.report(bad.fails(3), from: 2, maxReads: { _ in 64 }, now: Double(time))
        }
        #expect(!policy.isExcluded("S"))
        // It leaves: what it read and how it failed stay counted, what it may read goes to the other.
        policy.workerLeft(2)
        let status = policy.statuses(now: 10)[0]
        #expect(status.reads == 50 && status.faults == [.init(.unreachable, 30)])
        policy.report(good.fails(5), from: 1, maxReads: { _ in 64 }, now: 11)
        #expect(policy.isExcluded("S"))
    }

    @Test func tasksOfAllSitesAreAssignedSideBySide() {
        var table = LeaseTable()
        table.begin(1, (0..<30).map { WorkUnit(id: .file(FileID($0)), sites: [["A", "B", "C"][$0 / 10]]) })
        func assign(_ capacity: Int, _ most: (String) -> Int = { _ in .max }) -> [Assignment] {
            table.assign(
                1, to: .init(worker: 1, capacity: capacity, roots: [], workers: 1), deadline: 1, now: 0
            ) { most($0[0]) }
        }
        let assigned = assign(9)
        #expect(Set(assigned.map(\.unit)) == [0, 1, 2, 10, 11, 12, 20, 21, 22])
        // What comes back goes first; an excluded site's tasks stay; a probed site's go one at a time.
        table.release(assigned.first { $0.unit == 0 }!.lease)
        let next = assign(20) { $0 == "B" ? 0 : $0 == "C" ? 4 : .max }.map(\.unit)
        #expect(next.filter { $0 < 10 } == [0, 3, 4, 5, 6, 7, 8, 9] && next.filter { $0 >= 10 } == [23])
        #expect(table.waitingQueues(1).map(\.sites) == [["B"], ["C"]] && table.validate() == nil)
    }
}
