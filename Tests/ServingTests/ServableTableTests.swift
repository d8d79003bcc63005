import Serving
import Testing

@Suite struct ServableTableTests {
    @Test func theOldVersionServesUntilTheNewOneIsWarm() {
        var table = ServableTable()
        #expect(table.admit("m", digest: "a") == .load(version: 1))
        #expect(table.available("m") == nil)
        table.loaded("m", 1)
        #expect(table.warmed("m", 1) == .serves(unload: []))
        #expect(table.admit("m", digest: "a") == .known(version: 1))
        #expect(table.admit("m", digest: "b") == .load(version: 2))
        table.loaded("m", 2)
        #expect(table.available("m")?.number == 1)
        #expect(table.warmed("m", 2) == .serves(unload: [1]))
        table.unloaded("m", 1)
        #expect(table.versions("m").map(\.number) == [2] && table.available("m")?.number == 2)
    }

    @Test func aFailedVersionLeavesTheOldOneServing() {
        var table = ServableTable()
        _ = table.admit("m", digest: "a")
        table.loaded("m", 1)
        _ = table.warmed("m", 1)
        _ = table.admit("m", digest: "b")
        table.failed("m", 2, because: "broken")
        #expect(table.available("m")?.number == 1)
        #expect(table.versions("m").map(\.number) == [1])
        #expect(table.failures.last?.reason == "broken" && table.failures.last?.number == 2)
        #expect(table.admit("m", digest: "c") == .load(version: 3))
    }

    @Test func theHigherOfTwoVersionsServesWhicheverIsReadyFirst() {
        for order in [[1, 2], [2, 1]] as [[Int64]] {
            var table = ServableTable()
            #expect(table.admit("m", digest: "a") == .load(version: 1))
            #expect(table.admit("m", digest: "b") == .load(version: 2))
            for number in order { table.loaded("m", number) }
            let outcomes = order.map { table.warmed("m", $0) }
            #expect(table.available("m")?.number == 2)
            #expect(
                outcomes
                    == (order == [1, 2]
                        ? [.serves(unload: []), .serves(unload: [1])]
                        : [
                            .serves(unload: []), .superseded(by: 2),
                        ]))
            #expect(table.versions("m").filter { $0.state == .available }.count == 1)
        }
    }

    @Test func failuresDoNotPileUp() {
        var table = ServableTable()
        for round in 0..<1000 {
            guard case .load(let number) = table.admit("model \(round % 7)", digest: "\(round)") else { continue }
            table.failed("model \(round % 7)", number, because: "broken")
        }
        #expect(table.failures.count == ServableTable.maxFailures)
        #expect(table.names.isEmpty && (0..<7).allSatisfy { table.versions("model \($0)").isEmpty })
    }

    @Test func numbersGoOnAfterARestart() {
        var table = ServableTable()
        table.resume("m", after: 7)
        table.restore("m", number: 5, digest: "a")
        table.loaded("m", 5)
        #expect(table.warmed("m", 5) == .serves(unload: []))
        #expect(table.admit("m", digest: "b") == .load(version: 8))
    }

    @Test func aVersionThatIsNotLoadingDoesNotServe() {
        var table = ServableTable()
        #expect(table.warmed("m", 1) == .unknown)
        _ = table.admit("m", digest: "a")
        #expect(table.warmed("m", 1) == .unknown && table.available("m") == nil)
    }

    @Test func theBacklogIsBoundedInRequestsAndBytes() {
        var backlog = Backlog(maxRequests: 3, maxBytes: 100)
        // One request alone may be larger than the bound.
        #expect([200, 1].map { backlog.enter($0) } == [true, false])
        backlog.leave(200)
        #expect([60, 41, 40, 0, 0].map { backlog.enter($0) } == [true, false, true, true, false])
        backlog.leave(60)
        #expect([60].map { backlog.enter($0) } == [true] && backlog.requests == 3 && backlog.bytes == 100)
    }
}
