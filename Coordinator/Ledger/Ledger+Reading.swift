import Cluster
import Foundation
import GRDB
import Scheduling
import Specs

extension Ledger {
    /// Visits the folded specs of files that are not skipped, in the canonical order: dataset, logical name.
    package func forEachFolded(_ job: Int64, _ body: (_ file: FileRecord, _ specs: FoldedSpecs) throws -> Void) throws {
        try database.read { db in
            let rows = try Row.fetchCursor(
                db,
                sql:
                    "SELECT * FROM file WHERE job = ? AND skipped IS NULL AND specs IS NOT NULL ORDER BY dataset, logical, url",
                arguments: [job])
            while let row = try rows.next() {
                try body(
                    try Self.file(row),
                    try FoldedSpecs(
                        specsBytes: [UInt8](row["specs"] as Data), rowBytes: [UInt8](row["block_rows"] as Data)))
            }
        }
    }

    /// One line of a story: seconds since 1970, and what happened.
    package struct StoryLine: Codable, Sendable {
        package var at: Double
        package var text: String
    }

    /// What made an object's state; nil where nothing is known of it.
    package func story(_ subject: StorySubject, _ id: Int64) throws -> [StoryLine]? {
        let lines = try database.read { db in
            try Row.fetchAll(
                db, sql: "SELECT at, text FROM story WHERE subject = ? AND id = ? ORDER BY rowid",
                arguments: [StorySubject.allCases.firstIndex(of: subject), id]
            ).map { StoryLine(at: $0["at"], text: $0["text"]) }
        }
        switch subject {
        case .job:
            guard try job(id) != nil else { return nil }
            let stages = try stages(id).map { StoryLine(at: $0.started, text: "stage \($0.stage.rawValue)") }
            return (stages + lines).sorted { $0.at < $1.at }
        case .chunk: return try chunkStory(id, lines)
        case .worker: return lines.isEmpty ? nil : lines
        }
    }

    private func chunkStory(_ id: Int64, _ lines: [StoryLine]) throws -> [StoryLine]? {
        guard
            let row = try database.read({ db in
                try Row.fetchOne(db, sql: "SELECT * FROM task WHERE id = ?", arguments: [id])
            })
        else {
            return lines.isEmpty ? nil : lines
        }
        let unit: Int64 = row["unit"]
        let what = row["stage"] as String == "list" ? "pattern \(unit)" : try file(unit)?.url ?? "file \(unit)"
        let blocks = row["stage"] as String == "specs" ? ", blocks \(row["first"] as Int)..<\(row["end"] as Int)" : ""
        var story = [
            StoryLine(
                at: lines.first?.at ?? 0,
                text: "job \(row["job"] as Int64), stage \(row["stage"] as String): \(what)\(blocks)")
        ]
        story += lines
        let attempts: Int = row["attempts"]
        let last = lines.last?.at ?? 0
        story.append(
            StoryLine(
                at: last,
                text:
                    "lent \(attempts) times, the last to worker \(row["worker"] as Int64) under token \(row["token"] as Int64)"
            ))
        if let second = row["second"] as Int64?, second != 0 {
            story.append(StoryLine(at: last, text: "lent a second time under token \(second)"))
        }
        if let kills = row["kills"] as Int?, kills > 0 {
            story.append(StoryLine(at: last, text: "\(kills) workers died with it"))
        }
        if let token = row["counted"] as Int64? {
            story.append(StoryLine(at: last, text: "counted under token \(token)"))
        }
        return story
    }

    /// How many of a job's files made it fail.
    package func unreadable(_ job: Int64) throws -> Int {
        try database.read { db in
            try Int.fetchOne(
                db, sql: "SELECT COUNT(*) FROM file WHERE job = ? AND unreadable IS NOT NULL", arguments: [job]) ?? 0
        }
    }

    /// Whether a checkpoint, a lane plan or a bundle has this digest.
    package func names(blob digest: String) throws -> Bool {
        try database.read { db in
            try Bool.fetchOne(
                db.cachedStatement(
                    sql:
                        "SELECT EXISTS (SELECT 1 FROM checkpoint WHERE digest = ?1) OR EXISTS (SELECT 1 FROM job WHERE ?1 IN (manifest, data_plan, training_plan, bundle))"
                ),
                arguments: [digest]) ?? false
        }
    }

    /// Who took part in a job's training.
    package func members(_ job: Int64) throws -> [RunRecord.Member] {
        try database.read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM member WHERE job = ? ORDER BY first_round, name, kernels", arguments: [job]
            ).map {
                RunRecord.Member(
                    name: $0["name"], kernels: $0["kernels"], ownKernels: $0["own_kernels"],
                    firstRound: $0["first_round"], lastRound: $0["last_round"])
            }
        }
    }

    /// A failed or cancelled job goes back to where it was.
    /// - Parameter withoutUnreadable: files that failed it are left out, and a training begins anew from the specs that are left.
    /// - Returns: nil where there is nothing to be retried.
    package func retry(_ id: Int64, withoutUnreadable: Bool, at time: Double) throws -> RestoredJob? {
        guard let job = try job(id), job.stage == .failed || job.stage == .cancelled else { return nil }
        try transaction { db in
            var stage = job.failedStage ?? .queued
            if withoutUnreadable {
                try Self.deleteTasks(
                    "job = ?1 AND stage <> 'list' AND unit IN (SELECT id FROM file WHERE job = ?1 AND unreadable IS NOT NULL)",
                    [id], db)
                try db.execute(
                    sql:
                        "DELETE FROM partial WHERE file IN (SELECT id FROM file WHERE job = ? AND unreadable IS NOT NULL)",
                    arguments: [id])
                try db.execute(
                    sql:
                        "UPDATE file SET skipped = unreadable, specs = NULL, block_rows = NULL WHERE job = ? AND unreadable IS NOT NULL",
                    arguments: [id])
                if stage.trains || stage == .publish {
                    for table in ["checkpoint", "epoch", "publication", "member"] {
                        try db.execute(sql: "DELETE FROM \(table) WHERE job = ?", arguments: [id])
                    }
                    try db.execute(
                        sql:
                            "UPDATE job SET manifest = NULL, data_plan = NULL, training_plan = NULL, bundle = NULL, test = NULL, kernels = NULL WHERE id = ?",
                        arguments: [id])
                    stage = .train
                }
            }
            try db.execute(sql: "UPDATE file SET unreadable = NULL WHERE job = ?", arguments: [id])
            // Earlier failures are forgiven: the sites are other than they were.
            try db.execute(
                sql: "UPDATE task SET kills = 0, token = 0, second = 0 WHERE job = ? AND counted IS NULL",
                arguments: [id])
            try db.execute(
                sql:
                    "UPDATE job SET stage = ?, error = NULL, finished = NULL, failed_stage = NULL, paused = 0 WHERE id = ?",
                arguments: [stage.rawValue, id])
            try db.execute(
                sql: "DELETE FROM stage WHERE job = ? AND stage IN ('failed', 'cancelled', 'done')", arguments: [id])
            try db.execute(
                sql: "INSERT INTO story (subject, id, at, text) VALUES (0, ?, ?, ?)",
                arguments: [id, time, "tried again" + (withoutUnreadable ? ", without what could not be read" : "")])
        }
        let record = try self.job(id)!
        return try database.read { db in try Self.restored(record, db) }
    }
}
