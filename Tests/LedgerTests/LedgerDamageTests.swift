import Bytes
import Cluster
import Foundation
import GRDB
import Ledger
import Scheduling
import Specs
import Testing

/// Ledgers with damaged rows: each is named, and what is whole goes on.
@Suite struct LedgerDamageTests {
    private let directory = FileManager.default.temporaryDirectory.appending(
        path: "beamline-damage-\(UUID().uuidString.prefix(8))")
    private var path: String { directory.appending(path: "ledger.sqlite").path }

    /// Three jobs in the stage survey, with one file each; the first one's file has its specs.
    private func make() throws -> (ledger: Ledger, jobs: [JobID]) {
        try StateDirectory(directory).prepare()
        let ledger = try Ledger(path: path)
        var jobs: [JobID] = []
        for number in 1...3 {
            let name = "root://s//\(number).root"
            let job = try ledger.addJob(
                JobDescription(name: "j\(number)", datasets: [.init(name: "a", label: 0, tree: "t", files: [name])]),
                at: 0)
            func counted(_ task: Int, _ unit: UnitID, _ result: TaskResult, _ specs: [UInt8] = []) -> [LedgerWrite] {
                let assignment = Assignment(
                    lease: LeaseName(task: TaskID(10 * number + task), token: Token(task)),
                    extent: TaskExtent(job: job, unit: unit, first: 0, end: 1), worker: 1)
                return [
                    .task(.assign(assignment, stage: .list)),
                    .task(
                        .count(
                            CountedReceipt(
                                assignment: assignment, digest: "d", result: result, specs: specs, completes: true))),
                ]
            }
            try ledger.commit(
                [.job(job, .stage(.list, error: nil))] + counted(1, .pattern(0), .listed([FileReplicas(name)]))
                    + [.job(job, .stage(.survey, error: nil))], at: 1)
            jobs.append(job)
            guard number == 1 else { continue }
            let file = try #require(ledger.files(job).first?.id)
            let found = Survey(
                bytes: 9, identity: "i", entries: 5, boundaries: [0, 5], clusters: [0, 5],
                branches: [.init(name: "x", type: "float", fixedValues: 1, itemValues: 1, unsupported: nil)])
            var statistics = BranchStatistics()
            (statistics.values, statistics.max, statistics.mean) = (5, 2, 1)
            let empty = PartialSpecs(branches: [BranchStatistics()])
            let specs = SpecsCoding.encode([
                PartTable(train: PartialSpecs(rows: 5, branches: [statistics]), validation: empty, test: empty)
            ])
            try ledger.commit(
                counted(2, .file(file), .surveyed(found)) + [.job(job, .stage(.specs, error: nil))]
                    + counted(3, .file(file), .counted(bytesRead: 9, seconds: 1), specs), at: 2)
        }
        return (ledger, jobs)
    }

    private func change(_ sql: String) throws { try DatabaseQueue(path: path).write { try $0.execute(sql: sql) } }

    @Test func everyDamagedRowIsNamed() throws {
        defer { try? FileManager.default.removeItem(at: directory) }
        let (_, jobs) = try make()
        #expect(try LedgerMaintenance(state: directory).check().mistakes == [])
        try change("UPDATE job SET description = '{' WHERE id = \(jobs[1])")
        try change("UPDATE file SET replicas = 'no JSON' WHERE job = \(jobs[2])")
        try change("INSERT INTO epoch VALUES (\(jobs[0]), 7, 'none')")
        let report = try LedgerMaintenance(state: directory).check()
        #expect(report.mistakes.count == 3 && report.lines.count == 3, "\(report)")
        for start in [
            "table job, id \(jobs[1]): ", "table file, id 3, job \(jobs[2]): ", "table epoch, job \(jobs[0]): ",
        ] {
            #expect(report.mistakes.contains { $0.hasPrefix(start) }, "\(start)")
        }
        // All of them, whichever comes first.
        try change("UPDATE job SET notes = '[' WHERE id = \(jobs[0])")
        #expect(try LedgerMaintenance(state: directory).check().mistakes.count == 4)
    }

    @Test func aDamagedJobKeepsNoOtherFromGoingOn() throws {
        defer { try? FileManager.default.removeItem(at: directory) }
        let (ledger, jobs) = try make()
        try change("UPDATE job SET description = '{' WHERE id = \(jobs[1])")
        #expect(try ledger.restore().jobs.map(\.id) == [jobs[0], jobs[2]])
        let error = #expect(throws: InputError.self) { try ledger.job(jobs[1]) }
        #expect(error?.code == .corrupt)
        #expect(try ledger.name(jobs[1]) == "j2" && ledger.jobStages().count == 3)
    }

    @Test func damagedSpecsAreNotServed() throws {
        defer { try? FileManager.default.removeItem(at: directory) }
        let (ledger, jobs) = try make()
        var rows: Int64 = 0
        try ledger.forEachFolded(jobs[0]) { _, specs in rows += specs.whole.rows }
        #expect(rows == 5)
        // One byte of a number: they can be read all the same.
        try change(
            """
            UPDATE file SET specs = CAST(substr(specs, 1, length(specs) - 8) || x'01' \
            || substr(specs, length(specs) - 6) AS BLOB) WHERE specs IS NOT NULL
            """)
        let error = #expect(throws: InputError.self) { try ledger.forEachFolded(jobs[0]) { _, _ in } }
        #expect(error?.code == .badChecksum && error?.file == "root://s//1.root")
        #expect(try LedgerMaintenance(state: directory).check().mistakes.count == 1)
        // What an earlier version folded has no digest.
        try change("UPDATE file SET specs_digest = NULL")
        #expect(try LedgerMaintenance(state: directory).check().mistakes.allSatisfy { !$0.contains("SHA-256") })
    }
}
