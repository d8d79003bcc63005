import Bytes
package import Cluster
import Foundation
import GRDB
package import Scheduling
import Specs

extension Ledger: LedgerStore {
    /// One transaction; a receipt under a token that is not its task's makes it fail as a whole.
    package func commit(_ writes: [LedgerWrite], at time: Double) throws {
        try transaction { db in for write in writes { try Self.apply(write, time, db) } }
    }

    private static func run(_ sql: String, _ arguments: StatementArguments, _ db: Database) throws {
        try db.cachedStatement(sql: sql).execute(arguments: arguments)
    }

    private static func apply(_ write: LedgerWrite, _ time: Double, _ db: Database) throws {
        switch write {
        case .task(let write): try apply(write, db)
        case .file(let file, let write): try apply(write, to: file, db)
        case .job(let job, let write): try apply(write, to: job, time, db)
        case .story(let subject, let text): try add(text, to: subject, time, db)
        }
    }

    static func add(_ text: String, to subject: StorySubject, _ time: Double, _ db: Database) throws {
        let (kind, id) = subject.stored
        try run("INSERT INTO story (subject, id, at, text) VALUES (?, ?, ?, ?)", [kind, id, time, text], db)
    }

    private static func apply(_ write: TaskWrite, _ db: Database) throws {
        switch write {
        case .assign(let assignment, let stage):
            try run(
                """
                INSERT INTO task (id, job, stage, unit, first, "end", token, worker) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [
                    assignment.lease.task, assignment.job, stage.rawValue, assignment.unit.stored,
                    assignment.extent.first, assignment.extent.end, assignment.lease.token, assignment.worker,
                ], db)
        case .reassign(let assignment):
            try run(
                """
                UPDATE task SET token = ?, second = 0, worker = ?, attempts = attempts + 1 WHERE id = ? \
                AND counted IS NULL
                """,
                [assignment.lease.token, assignment.worker, assignment.lease.task], db)
        case .speculate(let assignment, let first):
            try run(
                "UPDATE task SET token = ?, second = ? WHERE id = ? AND counted IS NULL",
                [first, assignment.lease.token, assignment.lease.task], db)
        case .count(let receipt): try count(receipt, db)
        case .retire(let lease):
            try run(
                """
                UPDATE task SET token = CASE WHEN token = ?1 THEN second ELSE token END, second = 0 WHERE id = ?2 \
                AND counted IS NULL AND (token = ?1 OR second = ?1)
                """,
                [lease.token, lease.task], db)
        case .crash(let task): try run("UPDATE task SET kills = kills + 1 WHERE id = ?", [task], db)
        case .clear(let task): try run("UPDATE task SET kills = MAX(0, kills - 1) WHERE id = ?", [task], db)
        }
    }

    private static func apply(_ write: FileWrite, to file: FileID, _ db: Database) throws {
        switch write {
        case .cuts(let cuts): try run("UPDATE file SET cuts = ? WHERE id = ?", [bytes(cuts), file], db)
        case .skip(let reason, let tasks):
            try run("UPDATE file SET skipped = ?, specs = NULL, block_rows = NULL WHERE id = ?", [reason, file], db)
            try deleteTasks("id IN (SELECT task FROM partial WHERE file = ?)", [file], db)
            try run("DELETE FROM partial WHERE file = ?", [file], db)
            for task in tasks { try run("DELETE FROM task WHERE id = ?", [task], db) }
        case .unreadable(let reason): try run("UPDATE file SET unreadable = ? WHERE id = ?", [reason, file], db)
        }
    }

    private static func apply(_ write: JobWrite, to job: JobID, _ time: Double, _ db: Database) throws {
        switch write {
        case .stage(let stage, let error): try enter(job, stage, error, time, db)
        case .branches(let names): try run("UPDATE job SET branches = ? WHERE id = ?", [try json(names), job], db)
        case .plans(let data, let training):
            try run("UPDATE job SET data_plan = ?, training_plan = ? WHERE id = ?", [data, training, job], db)
        case .notes(let notes): for note in notes { try add(note: note, to: job, db) }
        case .member(let round, let name, let instructionSet):
            try run(
                """
                INSERT INTO member (job, name, kernels, own_kernels, first_round, last_round) \
                VALUES (?1, ?2, ?3, '', ?4, ?4)
                ON CONFLICT (job, name, kernels) DO UPDATE SET last_round = excluded.last_round
                """, [job, name, instructionSet, round], db)
        case .round(let round): try run("UPDATE job SET round = ? WHERE id = ?", [round, job], db)
        case .checkpoint(let checkpoint): try record(checkpoint, job, db)
        case .test(let metrics): try run("UPDATE job SET test = ? WHERE id = ?", [try json(metrics), job], db)
        case .evaluation(let report):
            try run("INSERT OR REPLACE INTO evaluation (job, report) VALUES (?, ?)", [job, try json(report)], db)
        case .bundle(let digest): try run("UPDATE job SET bundle = ? WHERE id = ?", [digest, job], db)
        case .publication(let node, let digest):
            try run(
                "INSERT OR REPLACE INTO publication (job, node, digest, acknowledged) VALUES (?, ?, ?, 1)",
                [job, node, digest], db)
        case .paused(let paused): try run("UPDATE job SET paused = ? WHERE id = ?", [paused, job], db)
        }
    }

    /// Appends a note that the job does not have, or counts it where the job has many. Its text is bounded by whoever
    /// makes it.
    private static func add(note: String, to job: JobID, _ db: Database) throws {
        try run("INSERT OR IGNORE INTO note_count (job, kept, left_out) VALUES (?, 0, 0)", [job], db)
        try run(
            """
            INSERT OR IGNORE INTO note (job, text) SELECT ?1, ?2 \
            WHERE (SELECT kept FROM note_count WHERE job = ?1) < ?3
            """, [job, note, maxNotes], db)
        if db.changesCount == 1 {
            return try run("UPDATE note_count SET kept = kept + 1 WHERE job = ?", [job], db)
        }
        try run(
            """
            UPDATE note_count SET left_out = left_out + 1 WHERE job = ?1 AND kept >= ?2 \
            AND NOT EXISTS (SELECT 1 FROM note WHERE job = ?1 AND text = ?3)
            """, [job, maxNotes, note], db)
    }

    private static func count(_ receipt: CountedReceipt, _ db: Database) throws {
        let lease = receipt.assignment.lease
        try run(
            """
            UPDATE task SET counted = ?1, digest = ?2 WHERE id = ?3 AND counted IS NULL AND (token = ?1 OR second = ?1)
            """,
            [lease.token, receipt.digest, lease.task], db)
        guard db.changesCount == 1 else { throw LedgerFailure.fenced(lease) }
        switch receipt.result {
        case .listed(let files, _):
            for file in files {
                try run(
                    "INSERT OR IGNORE INTO file (job, dataset, logical, url, replicas) VALUES (?, ?, ?, ?, ?)",
                    [receipt.assignment.job, receipt.dataset, file.logicalName, file.url, try json(file)], db)
            }
        case .surveyed(let survey):
            if let file = receipt.assignment.unit.file { try record(survey, of: file, db) }
        case .counted: if let file = receipt.assignment.unit.file { try addPartial(receipt, of: file, db) }
        case .failed: break
        }
    }

    /// A list of branches is kept once, whatever the number of files that have it.
    private static func record(_ survey: Survey, of file: FileID, _ db: Database) throws {
        let branches = try json(survey.branches)
        let digest = Digest.sha256(branches)
        try run("INSERT OR IGNORE INTO layout (body, digest) VALUES (?, ?)", [branches, digest], db)
        var rest = survey
        rest.branches = []
        try run(
            "UPDATE file SET survey = ?, entries = ?, layout = (SELECT id FROM layout WHERE digest = ?) WHERE id = ?",
            [try json(rest), survey.entries, digest, file], db)
    }

    /// A complete file's partial specs are folded in the order of its blocks, and dropped, with the tasks that made
    /// them.
    private static func addPartial(_ receipt: CountedReceipt, of file: FileID, _ db: Database) throws {
        let task = receipt.assignment.lease.task
        let first = receipt.assignment.extent.first
        guard receipt.completes else {
            return try run(
                "INSERT INTO partial (file, first, task, specs) VALUES (?, ?, ?, ?)",
                [file, first, task, Data(receipt.specs)], db)
        }
        var chunks = try Row.fetchAll(
            db.cachedStatement(sql: "SELECT first, specs FROM partial WHERE file = ?"), arguments: [file]
        )
        .map { (first: $0["first"] as Int32, specs: [UInt8]($0["specs"] as Data)) }
        chunks.append((first, receipt.specs))
        let folded = try FoldedSpecs(chunks.sorted { $0.first < $1.first }.map(\.specs))
        try run(
            "UPDATE file SET specs = ?, block_rows = ?, specs_digest = ? WHERE id = ?",
            [
                Data(folded.specsBytes), Data(folded.rowBytes),
                Digest.sha256(folded.specsBytes + folded.rowBytes), file,
            ], db)
        try rememberTasks(db)
        try run("DELETE FROM task WHERE id = ?1 OR id IN (SELECT task FROM partial WHERE file = ?2)", [task, file], db)
        try run("DELETE FROM partial WHERE file = ?", [file], db)
    }

    /// Numbers of tasks are never used again: the largest is noted before any is deleted.
    private static func rememberTasks(_ db: Database) throws {
        try run(
            """
            INSERT INTO counter (name, value) SELECT 'tasks', COALESCE(MAX(id), 0) FROM task WHERE true \
            ON CONFLICT (name) DO UPDATE SET value = MAX(value, excluded.value)
            """,
            [], db)
    }

    static func deleteTasks(_ which: String, _ arguments: StatementArguments, _ db: Database) throws {
        try rememberTasks(db)
        try run("DELETE FROM task WHERE " + which, arguments, db)
    }

    private static func enter(_ job: JobID, _ stage: JobStage, _ error: String?, _ time: Double, _ db: Database) throws
    {
        let old = try String.fetchOne(db, sql: "SELECT stage FROM job WHERE id = ?", arguments: [job]) ?? ""
        // What a failed or cancelled job has done stays, for a retry.
        let broken = stage == .failed || stage == .cancelled
        if !broken, old != stage.rawValue { try deleteTasks("job = ?", [job], db) }
        try run(
            "UPDATE job SET stage = ?, error = ?, finished = ?, failed_stage = ? WHERE id = ?",
            [stage.rawValue, error, stage.isFinal ? time : nil, broken ? old : nil, job], db)
        try run("INSERT OR IGNORE INTO stage (job, stage, started) VALUES (?, ?, ?)", [job, stage.rawValue, time], db)
    }

    private static func record(_ checkpoint: StoredCheckpoint, _ job: JobID, _ db: Database) throws {
        try run(
            """
            INSERT INTO checkpoint (job, digest, step, round) VALUES (?, ?, ?, ?) ON CONFLICT (job)
            DO UPDATE SET digest = excluded.digest, step = excluded.step, round = excluded.round \
            WHERE excluded.step >= step
            """, [job, checkpoint.digest, checkpoint.step, checkpoint.round], db)
        for metrics in checkpoint.metrics {
            try run(
                "INSERT OR REPLACE INTO epoch (job, epoch, metrics) VALUES (?, ?, ?)",
                [job, metrics.epoch, try json(metrics)], db)
        }
    }

    /// The token under which a task was counted, and its receipt's digest.
    /// - Returns: nil where the task was not counted, or is deleted because its file is complete or its stage is over.
    package func counted(_ task: TaskID) throws -> (token: Token, digest: String)? {
        try database.read { db in
            try Row.fetchOne(
                db.cachedStatement(sql: "SELECT counted, digest FROM task WHERE id = ? AND counted IS NOT NULL"),
                arguments: [task]
            )
            .map { ($0["counted"], $0["digest"]) }
        }
    }

    // MARK: After a restart

    /// Begins a new life and reads from where the coordinator goes on: every job that is not at its end, with its open
    /// tasks, and numbers larger than any used before.
    /// - Throws: what SQLite throws; `InputError` where a document is damaged or of a newer format.
    package func restore() throws -> Restored {
        let live = try readableJobs().filter { !$0.stage.isFinal }
        let life = try beginLife()
        // Stories are for people: the newest million lines are enough.
        try transaction { db in
            try db.execute(sql: "DELETE FROM story WHERE rowid <= (SELECT MAX(rowid) FROM story) - 1000000")
        }
        return try database.read { db in
            var restored = Restored()
            let deleted = try Int64.fetchOne(db, sql: "SELECT value FROM counter WHERE name = 'tasks'") ?? 0
            restored.nextTask = TaskID(max(deleted, try Int64.fetchOne(db, sql: "SELECT MAX(id) FROM task") ?? 0)).next
            // Tokens of a later life are larger than all of an earlier one.
            restored.nextToken = Token(life << 36 + 1)
            restored.nextRound =
                (try RoundNumber.fetchOne(db, sql: "SELECT MAX(round) FROM job") ?? RoundNumber(0)).next
            for job in live { restored.jobs.append(try Self.restored(job, db)) }
            return restored
        }
    }

    /// A job's stage as far as it has come.
    static func restored(_ record: JobRecord, _ db: Database) throws -> RestoredJob {
        var job = RestoredJob(
            id: record.id, description: record.description, stage: record.stage, paused: record.paused)
        job.round = record.round
        job.checkpoint = try Row.fetchOne(db, sql: "SELECT * FROM checkpoint WHERE job = ?", arguments: [record.id])
            .map { StoredCheckpoint(digest: $0["digest"], step: $0["step"], round: $0["round"]) }
        job.epochs =
            try Int.fetchOne(db, sql: "SELECT MAX(epoch) FROM epoch WHERE job = ?", arguments: [record.id]) ?? 0
        guard record.stage.hasTasks else { return job }
        var cursors: [UnitID: (end: Int32, open: Int)] = [:]
        let rows = try Row.fetchCursor(
            db, sql: "SELECT * FROM task WHERE job = ? AND stage = ? ORDER BY id",
            arguments: [record.id, record.stage.rawValue])
        while let row = try rows.next() {
            let unit = UnitID(stored: row["unit"], stage: record.stage)
            let isOpen = (row["counted"] as Int64?) == nil
            let known = cursors[unit] ?? (0, 0)
            cursors[unit] = (max(known.end, row["end"]), known.open + (isOpen ? 1 : 0))
            guard isOpen else { continue }
            job.tasks.append(
                OpenTask(
                    id: row["id"],
                    extent: TaskExtent(job: record.id, unit: unit, first: row["first"], end: row["end"]),
                    token: Token(stored: row["token"]), secondToken: Token(stored: row["second"]),
                    attempts: row["attempts"], crashes: row["kills"]))
        }
        let units = try units(record, db)
        job.unitCount = units.count + (record.stage == .specs ? try foldedFiles(record.id, db) : 0)
        job.maxBlocks = maxBlocks(record.branches?.count ?? 0)
        job.units = units.compactMap { unit in
            var unit = unit
            guard let cursor = cursors[unit.id] else { return unit }
            unit.next = unit.cuts.count { $0 <= cursor.end }
            return unit.next == unit.cuts.count && cursor.open == 0 ? nil : unit
        }
        return job
    }

    /// So that a task's partial specs fit one message.
    package static func maxBlocks(_ branches: Int) -> Int32 { Int32(max(1, (32 << 20) / (24 + 168 * branches))) }

    /// A stage's units, without their sites: the caller knows those.
    private static func units(_ record: JobRecord, _ db: Database) throws -> [WorkUnit] {
        if record.stage == .list {
            return record.description.patterns.indices.map { WorkUnit(id: .pattern($0), sites: []) }
        }
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT id, cuts FROM file WHERE job = ? AND skipped IS NULL \
                \(record.stage == .specs ? "AND specs IS NULL" : "") ORDER BY dataset, logical, url
                """,
            arguments: [record.id])
        return rows.compactMap { row in
            guard record.stage == .specs else { return WorkUnit(id: .file(row["id"]), sites: []) }
            let cuts = (row["cuts"] as Data?).map(integers) ?? []
            return cuts.isEmpty ? nil : WorkUnit(id: .file(row["id"]), sites: [], cuts: cuts)
        }
    }

    private static func foldedFiles(_ job: JobID, _ db: Database) throws -> Int {
        try Int.fetchOne(
            db, sql: "SELECT COUNT(*) FROM file WHERE job = ? AND skipped IS NULL AND specs IS NOT NULL",
            arguments: [job]) ?? 0
    }
}
