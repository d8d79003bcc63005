import Bytes
import Cluster
import Foundation
import GRDB
import Ledger
import Scheduling
import Specs
import Testing

/// Whole state directories of coordinators of earlier versions.
@Suite struct GoldenLedgerTests {
    private struct Expected: Decodable {
        struct Interrupted: Decodable {
            var stage: String
            var epochs: Int
            var step: Int64
        }
        var interrupted: Interrupted
        var metrics: [EpochMetrics]
    }

    private func open(_ name: String, _ body: (Ledger, URL, Expected) throws -> Void) throws {
        let directory = try Golden.unpack(name)
        defer { try? FileManager.default.removeItem(at: directory) }
        let ledger = try Ledger(path: directory.appending(path: "ledger.sqlite").path)
        try body(ledger, directory, try Golden.value(Expected.self, "expected.json"))
        let report = try LedgerMaintenance(state: directory).check()
        #expect(report.mistakes.isEmpty && report.lines.count == 1, "\(report)")
    }

    @Test func aFinishedJob() throws {
        try open("done.tar.xz") { ledger, _, expected in
            let id = JobID(1)
            let job = try #require(try ledger.job(id))
            #expect(job.stage == .done && job.description.name == "golden")
            #expect(job.round == RoundNumber(1) && job.branches?.count == 8 && job.test != nil)
            #expect(try ledger.epochs(id) == expected.metrics)
            // Its program made no report.
            #expect(try ledger.evaluation(id) == nil && job.test?.classAUC == nil)
            #expect(try ledger.stages(id).map(\.stage) == [.list, .survey, .specs, .train, .evaluate, .done])
            #expect(try ledger.files(id).map(\.survey?.entries) == [6000, 6000])
            var rows: Int64 = 0
            try ledger.forEachFolded(id) { _, specs in rows += specs.whole.rows }
            #expect(rows == 12000)
            // The kernel type of OpenBLAS, as what its arithmetic used.
            #expect(try ledger.members(id).map(\.instructionSet) == ["Haswell"])
            let story = try #require(try ledger.story(.job(id)))
            #expect(story.contains { $0.text == "training round 1 with w1" })
            #expect(try ledger.story(.worker(WorkerID(1)))?.isEmpty == false)
            #expect(try ledger.restore().jobs.isEmpty)
        }
    }

    @Test func aJobInterruptedInTraining() throws {
        try open("interrupted.tar.xz") { ledger, directory, expected in
            let restored = try ledger.restore()
            let job = try #require(restored.jobs.first)
            #expect(restored.jobs.count == 1 && job.stage == .train && expected.interrupted.stage == "train")
            // Another order and another arithmetic: its training begins again, on the specs that it has.
            #expect(expected.interrupted.step > 0 && job.epochs == 0 && job.checkpoint == nil)
            let record = try #require(try ledger.job(job.id))
            #expect(record.dataPlan == nil && record.trainingPlan == nil && record.combinedManifest == nil)
            #expect(try ledger.members(job.id).isEmpty)
            #expect(restored.nextRound == RoundNumber(2) && restored.nextToken.rawValue > 2 << 36)
        }
    }

    @Test func aNewerLedgerIsNamed() throws {
        let directory = try Golden.unpack("done.tar.xz")
        defer { try? FileManager.default.removeItem(at: directory) }
        let path = directory.appending(path: "ledger.sqlite").path
        _ = try Ledger(path: path)
        try DatabaseQueue(path: path).write { db in
            try db.execute(sql: "INSERT INTO grdb_migrations (identifier) VALUES ('99')")
        }
        let error = #expect(throws: LedgerFailure.self) { try Ledger(path: path) }
        guard case .newer(let format, let newest)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(format == 99 && newest >= 6 && "\(LedgerFailure.newer(format: 99, newest: 6))".contains("format 99"))
    }

    @Test func anUnknownStageIsAnError() throws {
        let directory = try Golden.unpack("done.tar.xz")
        defer { try? FileManager.default.removeItem(at: directory) }
        let path = directory.appending(path: "ledger.sqlite").path
        let ledger = try Ledger(path: path)
        try DatabaseQueue(path: path).write { db in try db.execute(sql: "UPDATE job SET stage = 'search'") }
        let error = #expect(throws: InputError.self) { try ledger.restore() }
        #expect(error?.found == "search" && error?.object == "job 1")
    }
}
