import Cluster
import Scheduling
import Testing

@Suite struct TaskStateTests {
    private func table() -> LeaseTable {
        var table = LeaseTable()
        table.begin(1, [WorkUnit(id: 1, sites: ["a"])])
        return table
    }

    private func assign(_ table: inout LeaseTable, to worker: WorkerID, now: Double = 0) -> LeaseName? {
        table.assign(
            1, to: .init(worker: worker, capacity: 1, roots: [], workers: 2), deadline: now + 10, now: now
        ) { _ in .max }.first?.lease
    }

    /// A receipt that was handed in and not counted retires its token: the same receipt counts no more, and no renewal
    /// brings it back.
    @Test func aFailedReceiptRetiresItsToken() throws {
        var table = table()
        let lease = try #require(assign(&table, to: 7))
        table.handedIn(lease, by: 7, failed: true, now: 1)
        #expect(table.check(lease) != .count && table.out(1) == 0 && table.hasWaiting(1) && table.validate() == nil)
        table.renew([lease], worker: 7, deadline: 100)
        #expect(table.heldCount(7) == 0 && table.validate() == nil)
        // Another worker gets the task at once it has rested, under a new token.
        let next = try #require(assign(&table, to: 8, now: 20))
        #expect(next.task == lease.task && next.token > lease.token && table.failures(next.task).attempts == 2)
    }

    /// A worker whose session broke comes back under another number and keeps what it held.
    @Test func aLeaseFollowsItsWorkerToItsNextSession() throws {
        var table = table()
        let lease = try #require(assign(&table, to: 7))
        table.workerLeft(7, tookLeave: false, died: "p", now: 1)
        #expect(table.heldCount(7) == 0 && table.out(1) == 1 && table.validate() == nil)
        table.renew([lease], worker: 9, deadline: 100)
        #expect(table.heldTasks(9) == [lease.task] && table.expire(now: 50).overdue.isEmpty)
        #expect(table.settle(lease, seconds: 1).complete && table.validate() == nil)
    }

    /// Where the first of two holders is lost, the second goes on alone; where both are, the task waits.
    @Test func aSpeculativeTaskLosesItsHoldersOneByOne() throws {
        var table = table()
        let first = try #require(assign(&table, to: 7))
        let second = try #require(
            table.speculate(1, to: .init(worker: 8, capacity: 1, roots: [], workers: 2), deadline: 200, now: 100) { _ in
                .max
            }.first?.lease)
        table.workerLeft(7, tookLeave: true, died: nil, now: 101)
        #expect(table.check(first) != .count && table.check(second) == .count && table.out(1) == 1)
        table.workerLeft(8, tookLeave: true, died: nil, now: 102)
        #expect(table.out(1) == 0 && table.hasWaiting(1) && table.validate() == nil)
        // The last token stays good until the task is assigned again.
        #expect(table.check(second) == .count)
        let third = try #require(assign(&table, to: 9, now: 103))
        #expect(table.check(second) != .count && table.check(third) == .count && table.validate() == nil)
    }
}
