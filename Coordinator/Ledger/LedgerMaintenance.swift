import Cluster
package import Foundation
import GRDB
import Scheduling
import Specs

/// Looks after a ledger beside its coordinator: takes no new life, so the coordinator goes on.
package struct LedgerMaintenance {
    /// What a check has found.
    package struct Report: Sendable {
        /// For people: what is in it.
        package var lines: [String] = []
        package var mistakes: [String] = []
    }

    private let database: DatabaseQueue

    /// - Parameter state: the coordinator's directory.
    package init(state: URL) throws {
        let path = state.appending(path: "ledger.sqlite").path
        guard FileManager.default.fileExists(atPath: path) else { throw CocoaError(.fileNoSuchFile) }
        var configuration = Configuration()
        configuration.busyMode = .timeout(30)
        database = try DatabaseQueue(path: path, configuration: configuration)
    }

    /// SQLite's own checks, foreign keys, that every stored document can be read, and that the specs of each file
    /// account for each of its entries once. What is damaged is named with its table, its key and the reason, and the
    /// rest is looked at all the same.
    package func check() throws -> Report {
        try database.read { db in
            var report = Report()
            for line in try String.fetchAll(db, sql: "PRAGMA integrity_check") where line != "ok" {
                report.mistakes.append("SQLite: \(line)")
            }
            for row in try Row.fetchAll(db, sql: "PRAGMA foreign_key_check") {
                report.mistakes.append("a row of \(row[0] as String) names what does not exist")
            }
            // Pages that SQLite cannot read end a table, and not the check.
            do { try checkDocuments(db, &report) } catch { report.mistakes.append("SQLite: \(error)") }
            for row in try Row.fetchAll(db, sql: "SELECT id, name, stage FROM job ORDER BY id") {
                do { try check(row["id"], row["name"], row["stage"], db, &report) } catch {
                    report.mistakes.append("table job, id \(row["id"] as Int64): \(error)")
                }
            }
            return report
        }
    }

    /// Reads every document but those of files, which are read with their specs.
    private func checkDocuments(_ db: Database, _ report: inout Report) throws {
        func each(_ table: String, key: String, _ body: (Row) throws -> Void) throws {
            // An earlier version's ledger may lack it.
            guard try db.tableExists(table) else { return }
            let rows = try Row.fetchCursor(db, sql: "SELECT * FROM \(table) ORDER BY \(key)")
            while let row = try rows.next() {
                do { try body(row) } catch {
                    let number = row[key] as Int64? ?? 0
                    report.mistakes.append("table \(table), \(key) \(number): \(error)")
                }
            }
        }
        try each("job", key: "id") { _ = try Ledger.job($0) }
        try each("layout", key: "id") {
            _ = try Ledger.value([SurveyedBranch].self, $0["body"])
        }
        try each("epoch", key: "job") {
            _ = try Ledger.value(EpochMetrics.self, $0["metrics"])
        }
        try each("evaluation", key: "job") {
            _ = try Ledger.value(EvaluationReport.self, $0["report"])
        }
        try each("stage", key: "job") {
            _ = try Ledger.stage($0["stage"], of: $0["job"])
        }
    }

    private func check(_ job: JobID, _ name: String, _ stage: String, _ db: Database, _ report: inout Report) throws {
        var counted: Int64 = 0
        var files = 0
        let isDue = [.train, .evaluate, .publish, .done].contains(JobStage(rawValue: stage))
        let rows = try Row.fetchCursor(
            db, sql: "SELECT * FROM file WHERE job = ? AND skipped IS NULL ORDER BY id", arguments: [job])
        while let row = try rows.next() {
            do {
                guard let entries = try entries(of: row, job, stage, isDue: isDue, &report) else { continue }
                files += 1
                counted += entries
            } catch {
                report.mistakes.append("table file, id \(row["id"] as Int64), job \(job): \(error)")
            }
        }
        let overlaps =
            try Int.fetchOne(
                db,
                sql: """
                    SELECT COUNT(*) FROM task a JOIN task b ON a.job = b.job AND a.stage = b.stage AND a.unit = b.unit \
                    AND a.id < b.id
                    WHERE a.job = ? AND a.first < b."end" AND b.first < a."end"
                    """, arguments: [job]) ?? 0
        if overlaps > 0 { report.mistakes.append("job \(job): \(overlaps) pairs of tasks have blocks in common") }
        report.lines.append("job \(job) \(name): \(stage), \(counted) entries of \(files) files counted once")
    }

    /// The entries of a file that were counted; nil where it has no specs, or they are not its own.
    private func entries(
        of row: Row, _ job: JobID, _ stage: String, isDue: Bool, _ report: inout Report
    ) throws -> Int64? {
        let file = try Ledger.file(row)
        guard (row["specs"] as Data?) != nil else {
            // An empty file has none; one that is not complete yet has parts.
            if isDue, (file.survey?.entries ?? 0) > 0 {
                report.mistakes.append("job \(job): \(file.url) has no specs in stage \(stage)")
            }
            return nil
        }
        let folded = try Ledger.folded(row)
        let entries = folded.blockRows.reduce(0) { $0 + $1.total }
        let boundaries = file.survey?.boundaries ?? []
        let blocks = zip(folded.blockRows, zip(boundaries, boundaries.dropFirst())).allSatisfy {
            $0.total == $1.1 - $1.0
        }
        guard entries == file.survey?.entries, folded.whole.rows == entries, blocks,
            folded.blockRows.count + 1 == boundaries.count
        else {
            report.mistakes.append(
                "job \(job): \(entries) entries of \(file.url) were counted, which has \(file.survey?.entries ?? 0)")
            return nil
        }
        return entries
    }

    /// Writes a compact copy of the ledger while its coordinator goes on.
    /// - Parameter path: of the copy; no file may be there yet.
    /// - Throws: what SQLite throws.
    package func backup(to path: String) throws {
        // The copy is its user's alone, like the ledger.
        let mask = umask(0o077)
        defer { umask(mask) }
        try database.writeWithoutTransaction { db in try db.execute(sql: "VACUUM INTO ?", arguments: [path]) }
    }

    /// - Returns: the file's bytes before and after.
    package func compact() throws -> (before: Int, after: Int) {
        func size(_ db: Database) throws -> Int {
            (try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0) * (try Int.fetchOne(db, sql: "PRAGMA page_size") ?? 0)
        }
        return try database.writeWithoutTransaction { db in
            let before = try size(db)
            try db.execute(sql: "VACUUM")
            try db.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)")
            return (before, try size(db))
        }
    }
}
