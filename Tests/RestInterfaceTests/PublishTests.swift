import CoordinatorService
import Testing

/// What a publisher makes of a node's answers.
@Suite struct PublishTests {
    @Test func whatMayPassIsNotFinal() {
        #expect(PublishAnswer(status: 507, #"{"error":"the disk is full"}"#) == .noRoom("507 the disk is full"))
        #expect(PublishAnswer(status: 503, "busy") == .noRoom("503 busy"))
        #expect(PublishAnswer(status: 500, "") == .unreachable("500 "))
        #expect(PublishAnswer(status: 502, "<html>") == .unreachable("502 <html>"))
        for status in [400, 401, 403, 404, 413, 422, 301] as [UInt] {
            #expect(PublishAnswer(status: status, #"{"error":"no"}"#) == .rejected("\(status) no"))
        }
    }

    @Test func aSupersededModelIsAcknowledged() {
        let available = #"{"name":"m","serving":2,"sha256":"","state":"available","version":2}"#
        let superseded = #"{"name":"m","serving":3,"sha256":"","state":"superseded","version":2}"#
        #expect(PublishAnswer(status: 200, available) == .acknowledged(laterVersion: nil))
        #expect(PublishAnswer(status: 200, superseded) == .acknowledged(laterVersion: 3))
        // A node of an earlier version, or what is no JSON.
        #expect(PublishAnswer(status: 200, "ok") == .acknowledged(laterVersion: nil))
    }

    @Test func waitsGrowToABound() {
        func waits(_ outcome: PublishDelay.Outcome) -> [Int] {
            var delay = PublishDelay()
            return (0..<80).map { _ in delay.seconds(after: outcome) }
        }
        #expect(waits(.noRoom).prefix(8) == [1, 2, 4, 8, 16, 32, 60, 60] && waits(.noRoom).last == 60)
        #expect(waits(.unreachable).prefix(6) == [1, 2, 4, 8, 10, 10] && waits(.unreachable).last == 10)
        #expect(waits(.paused).allSatisfy { $0 == 1 })
    }
}
