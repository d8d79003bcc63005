import Cluster
import Foundation
import GRDB
import Ledger
import Scheduling
import Testing

@Suite struct LedgerTests {
    private let directory = FileManager.default.temporaryDirectory.appending(
        path: "beamline-ledger-\(UUID().uuidString.prefix(8))")

    init() throws { try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true) }

    private var path: String { directory.appending(path: "ledger.sqlite").path }
    private func remove() { try? FileManager.default.removeItem(at: directory) }

    /// A ledger of the third version: what is done stays as it is, what was under way restarts, and nothing else is
    /// left of it.
    @Test func anEarlierVersionIsBroughtUpToDate() throws {
        defer { remove() }
        let description = try Ledger.json(
            JobDescription(name: "old", datasets: [.init(name: "a", label: 0, tree: "t", files: ["root://x//y"])]))
        do {
            let database = try DatabaseQueue(path: path)
            try Ledger.migrator.migrate(database, upTo: "3")
            try database.write { db in
                for (id, stage) in [(1, "done"), (2, "specs"), (3, "train")] {
                    try db.execute(
                        sql:
                            """
                            INSERT INTO job (id, name, description, stage, notes, bundle, manifest, submitted) \
                            VALUES (?, 'old', ?, ?, '[\"a note\"]', 'b', 'm', 1)
                            """,
                        arguments: [id, description, stage])
                    try db.execute(
                        sql: "INSERT INTO file (job, dataset, logical, url) VALUES (?, 0, '/y', 'root://x//y')",
                        arguments: [id])
                    try db.execute(
                        sql:
                            """
                            INSERT INTO task (job, stage, dataset, file, body) VALUES (?1, 'specs', 0, (SELECT id \
                            FROM file WHERE job = ?1), '{}')
                            """,
                        arguments: [id])
                    try db.execute(sql: "INSERT INTO checkpoint VALUES (?, 'c', 7, 1)", arguments: [id])
                }
                try db.execute(
                    sql: "INSERT INTO lease VALUES (1, 5, 1, 1); INSERT INTO receipt VALUES (2, 6, 'd', '{}', x'00')")
            }
        }
        let ledger = try Ledger(path: path)
        let jobs = try ledger.jobs()
        #expect(jobs.map(\.stage) == [.done, .queued, .queued])
        #expect(
            jobs[0].bundle == "b" && jobs[0].notes == ["a note"] && jobs[1].notes.isEmpty
                && jobs[2].combinedManifest == nil)
        let restored = try ledger.restore()
        #expect(
            restored.jobs.map(\.id) == [2, 3]
                && restored.jobs.allSatisfy { $0.units.isEmpty && $0.tasks.isEmpty && $0.checkpoint == nil })
        #expect(try LedgerMaintenance(state: directory).check().mistakes.isEmpty)
    }

    /// The report of an evaluation is kept, the newest counts, and a training that begins again forgets it.
    @Test func theReportOfAnEvaluationIsKept() throws {
        defer { remove() }
        let ledger = try Ledger(path: path)
        _ = try ledger.restore()
        let job = try ledger.addJob(
            JobDescription(name: "n", datasets: [.init(name: "a", label: 0, tree: "t", files: ["root://x//y"])]), at: 0)
        #expect(try ledger.evaluation(job) == nil)
        var report = EvaluationReport()
        for events in [Int64(3), 4] {
            report.test.metrics.events = events
            try ledger.commit([.job(job, .evaluation(report))], at: 1)
            #expect(try ledger.evaluation(job) == report)
        }
        try ledger.commit([.job(job, .stage(.train, error: nil)), .job(job, .stage(.failed, error: "e"))], at: 2)
        _ = try ledger.retry(job, withoutUnreadable: false, at: 3)
        #expect(try ledger.evaluation(job) == report)
        try ledger.commit([.job(job, .stage(.failed, error: "e"))], at: 4)
        _ = try ledger.retry(job, withoutUnreadable: true, at: 5)
        #expect(try ledger.evaluation(job) == nil)
    }

    /// Notes are rows of their own, each once; beyond the bound they are counted.
    @Test func notesAreAppendedAndBounded() throws {
        defer { remove() }
        let ledger = try Ledger(path: path)
        let description = JobDescription(
            name: "j", datasets: [.init(name: "a", label: 0, tree: "t", files: ["p"])])
        let job = try ledger.addJob(description, notes: ["first"], at: 0)
        let other = try ledger.addJob(description, at: 0)
        func notes(_ job: JobID) throws -> [String] { try ledger.notes(try #require(try ledger.job(job))) }
        try ledger.commit([.job(job, .notes(["a", "b"])), .job(job, .notes(["b", "first", "c"]))], at: 1)
        #expect(try notes(job) == ["first", "a", "b", "c"])
        try ledger.commit((0..<2000).map { .job(other, .notes(["skipped: \($0)"])) }, at: 2)
        // Those that it has are not counted again.
        try ledger.commit([.job(other, .notes(["skipped: 1"]))], at: 3)
        let many = try notes(other)
        #expect(many.count == Ledger.maxNotes + 1 && many[999] == "skipped: 999")
        #expect(many.last == "and 1000 more notes, which are not kept")
        #expect(try notes(job).count == 4)
    }

    /// A transaction with a receipt under an old token fails as a whole.
    @Test func aFencedReceiptTakesItsBatchWithIt() throws {
        defer { remove() }
        let ledger = try Ledger(path: path)
        let job = try ledger.addJob(
            JobDescription(name: "j", datasets: [.init(name: "a", label: 0, tree: "t", files: ["p"])]), at: 0)
        func assignment(_ token: Token) -> Assignment {
            Assignment(
                lease: LeaseName(task: 1, token: token),
                extent: TaskExtent(job: job, unit: .pattern(0), first: 0, end: 1), worker: 1)
        }
        func receipt(_ token: Token, _ file: String) -> LedgerWrite {
            .task(
                .count(
                    CountedReceipt(
                        assignment: assignment(token), digest: "d", result: .listed([FileReplicas(file)]), specs: [],
                        completes: true)))
        }
        try ledger.commit([.job(job, .stage(.list, error: nil)), .task(.assign(assignment(10), stage: .list))], at: 1)
        try ledger.commit([.task(.reassign(assignment(11)))], at: 2)
        #expect(throws: LedgerFailure.fenced(LeaseName(task: 1, token: 10))) {
            try ledger.commit([.job(job, .notes(["never"])), receipt(10, "root://a//b")], at: 3)
        }
        #expect(try ledger.notes(try #require(try ledger.job(job))) == [] && ledger.counted(1) == nil)
        try ledger.commit([receipt(11, "root://a//b")], at: 4)
        #expect(try ledger.counted(1)?.token == 11)
        // Once counted, under no token again.
        #expect(throws: LedgerFailure.fenced(LeaseName(task: 1, token: 11))) {
            try ledger.commit([receipt(11, "root://a//c")], at: 5)
        }
    }

    /// Two coordinators on one ledger: the older one is rejected from the newer one's start on.
    @Test func theNewestLifeWrites() throws {
        defer { remove() }
        let old = try Ledger(path: path)
        _ = try old.restore()
        try old.commit([.story(.worker(1), "written")], at: 0)
        let new = try Ledger(path: path)
        _ = try new.restore()
        #expect(throws: LedgerFailure.takenOver) { try old.commit([.story(.worker(1), "not written")], at: 1) }
        try new.commit([.story(.worker(1), "written too")], at: 1)
        #expect(try new.story(.worker(1))?.map(\.text) == ["written", "written too"])
    }
}
