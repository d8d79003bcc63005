import HTTPFace
import NIOCore
import Testing

/// What bodies may take of memory and of time.
@Suite struct BodyBudgetTests {
    private let mebibyte = 1 << 20

    @Test func aFullBudgetTakesNothing() {
        var budget = BodyBudget(total: 100, keptForSmall: 0)
        func reserve(_ bytes: Int, of size: Int) -> Bool { budget.reserve(bytes, of: size) }
        #expect(reserve(60, of: 60) && reserve(40, of: 40) && !reserve(1, of: 1))
        budget.release(60)
        #expect(budget.held == 40 && reserve(60, of: 60))
        #expect(!reserve(Int.max, of: Int.max))
    }

    @Test func largeBodiesLeaveRoomForSmallOnes() {
        var budget = BodyBudget(total: 64 * mebibyte, keptForSmall: 16 * mebibyte)
        func reserve(_ bytes: Int, of size: Int) -> Bool { budget.reserve(bytes, of: size) }
        #expect(reserve(48 * mebibyte, of: 48 * mebibyte))
        #expect(!reserve(2 * mebibyte, of: 2 * mebibyte))
        for _ in 0..<16 { #expect(reserve(mebibyte, of: mebibyte)) }
        #expect(!reserve(1, of: 1) && budget.held == budget.total)
    }

    @Test func aBodyThatGrowsBecomesALargeOne() {
        var budget = BodyBudget(total: 64 * mebibyte, keptForSmall: 16 * mebibyte)
        func reserve(_ bytes: Int, of size: Int) -> Bool { budget.reserve(bytes, of: size) }
        #expect(reserve(48 * mebibyte, of: 48 * mebibyte))
        #expect(reserve(mebibyte, of: mebibyte) && !reserve(1, of: mebibyte + 1))
    }

    @Test func aBodyHasItsTimeAndOneForItsBytes() {
        var times = FaceTimes()
        (times.body, times.bodyRate) = (.seconds(30), 1000)
        let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
        var progress = RequestProgress()
        #expect(progress.isIdle && progress.deadline(times) == nil)
        progress.head(at: start)
        #expect(!progress.isIdle && progress.deadline(times) == start + .seconds(30))
        progress.received(5000)
        #expect(progress.deadline(times) == start + .seconds(35))
        progress.end()
        #expect(!progress.isIdle && progress.deadline(times) == nil)
        progress.answerBegins()
        #expect(progress.isAnswering)
        progress.answered(at: start + .seconds(40))
        #expect(progress.isIdle && !progress.isAnswering)
    }

    /// A body that waits behind an earlier request is not late, and has its time from that request's answer on.
    @Test func aBodyThatNobodyReadsYetIsNotLate() {
        let times = FaceTimes()
        let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
        var progress = RequestProgress()
        progress.head(at: start)
        progress.end()
        progress.head(at: start)
        #expect(progress.deadline(times) == nil)
        progress.answered(at: start + .seconds(100))
        #expect(progress.deadline(times) == start + .seconds(100) + times.body)
        // Answered before it has arrived: the rest is waited for, and no longer.
        progress.answered(at: start + .seconds(101))
        #expect(!progress.isIdle && progress.deadline(times) == start + .seconds(101) + times.body)
    }
}
