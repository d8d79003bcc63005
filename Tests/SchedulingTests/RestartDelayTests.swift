import Cluster
import Testing

@Suite struct RestartDelayTests {
    @Test func eachDeathInARowDoublesTheDelay() {
        var delay = RestartDelay()
        #expect((0..<10).map { _ in delay.died(lived: 3) } == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60])
        // After a sound life it begins again.
        #expect(delay.died(lived: RestartDelay.soundAfter) == 0.5 && delay.deaths == 1)
        #expect(delay.died(lived: RestartDelay.soundAfter - 1) == 1)
    }
}
