import Serving
import Testing

@Suite struct ServableTableTests {
    @Test func theOldVersionServesUntilTheNewOneIsWarm() {
        var table = ServableTable()
        #expect(table.admit("m", digest: "a") == .load(version: 1))
        #expect(table.available("m") == nil)
        table.loaded("m", 1)
        #expect(table.warmed("m", 1).isEmpty)
        #expect(table.admit("m", digest: "a") == .known(version: 1))
        #expect(table.admit("m", digest: "b") == .load(version: 2))
        table.loaded("m", 2)
        #expect(table.available("m")?.number == 1)
        #expect(table.warmed("m", 2) == [1])
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
        #expect(table.versions("m").last?.reason == "broken")
    }
}
