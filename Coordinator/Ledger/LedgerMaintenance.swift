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

    /// SQLite's own checks, foreign keys, and that the specs of each file account for each of its entries once.
    package func check() throws -> Report {
        try database.read { db in
            var report = Report()
            for line in try String.fetchAll(db, sql: "PRAGMA integrity_check") where line != "ok" {
                report.mistakes.append("SQLite: \(line)")
            }
            for row in try Row.fetchAll(db, sql: "PRAGMA foreign_key_check") {
                report.mistakes.append("a row of \(row[0] as String) names what does not exist")
            }
            for row in try Row.fetchAll(db, sql: "SELECT id, name, stage FROM job ORDER BY id") {
                try check(row["id"], row["name"], row["stage"], db, &report)
            }
            return report
        }
    }

    private func check(_ job: JobID, _ name: String, _ stage: String, _ db: Database, _ report: inout Report) throws {
        var counted: Int64 = 0
        var files = 0
        let rows = try Row.fetchCursor(
            db, sql: "SELECT * FROM file WHERE job = ? AND skipped IS NULL", arguments: [job])
        while let row = try rows.next() {
            let file = try Ledger.file(row)
            guard let data = row["specs"] as Data? else {
                // An empty file has none; one that is not complete yet has parts.
                let isDue = [.train, .evaluate, .publish, .done].contains(try Ledger.stage(stage, of: job))
                if isDue, (file.survey?.entries ?? 0) > 0 {
                    report.mistakes.append("job \(job): \(file.url) has no specs in stage \(stage)")
                }
                continue
            }
            files += 1
            let folded = try FoldedSpecs(
                specsBytes: [UInt8](data), rowBytes: [UInt8](row["block_rows"] as Data? ?? Data()))
            let entries = folded.blockRows.reduce(0) { $0 + $1.total }
            counted += entries
            let blocks = zip(
                folded.blockRows, zip(file.survey?.boundaries ?? [], (file.survey?.boundaries ?? []).dropFirst())
            ).allSatisfy { $0.total == $1.1 - $1.0 }
            guard entries == file.survey?.entries, folded.whole.rows == entries, blocks,
                folded.blockRows.count + 1 == file.survey?.boundaries.count
            else {
                report.mistakes.append(
                    "job \(job): \(entries) entries of \(file.url) were counted, which has \(file.survey?.entries ?? 0)"
                )
                continue
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
