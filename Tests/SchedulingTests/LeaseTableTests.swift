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
