import Bytes
package import Cluster
import Foundation
import GRDB
package import RestInterface
package import Scheduling
package import Specs

extension Ledger {
    /// Visits the folded specs of files that are not skipped, in the canonical order: dataset, logical name.
    package func forEachFolded(_ job: JobID, _ body: (_ file: FileRecord, _ specs: FoldedSpecs) throws -> Void) throws {
        try database.read { db in
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT * FROM file WHERE job = ? AND skipped IS NULL AND specs IS NOT NULL \
                    ORDER BY dataset, logical, url
                    """,
                arguments: [job])
            while let row = try rows.next() {
                let file = try Self.file(row)
                let folded: FoldedSpecs
                do { folded = try Self.folded(row) } catch let error as InputError {
                    throw error.located(file: file.url)
                }
                try body(file, folded)
            }
        }
    }

    /// A file's folded specs, as they were folded.
    /// - Throws: `InputError` where they are damaged: their digest is another, where the ledger has one, or they cannot
    ///   be read.
    static func folded(_ row: Row) throws -> FoldedSpecs {
        let specs = [UInt8](row["specs"] as Data? ?? Data())
        let rows = [UInt8](row["block_rows"] as Data? ?? Data())
        if let digest = row["specs_digest"] as String? {
            let found = Digest.sha256(specs + rows)
            guard found == digest else {
                throw InputError(
                    .badChecksum, "the folded specs in the ledger are damaged", expected: "SHA-256 \(digest)",
                    found: found, hint: "'beamline ledger check' names all that is damaged; run the job again.")
            }
        }
        return try FoldedSpecs(specsBytes: specs, rowBytes: rows)
    }

    /// What made an object's state; nil where nothing is known of it.
    package func story(_ subject: StorySubject) throws -> [StoryLine]? {
        let (kind, id) = subject.stored
        let lines = try database.read { db in
            try Row.fetchAll(
                db, sql: "SELECT at, text FROM story WHERE subject = ? AND id = ? ORDER BY rowid",
                arguments: [kind, id]
            ).map { StoryLine(at: $0["at"], text: $0["text"]) }
        }
        switch subject {
        case .job(let id):
            guard try job(id) != nil else { return nil }
            let stages = try stages(id).map { StoryLine(at: $0.started, text: "stage \($0.stage.rawValue)") }
            return (stages + lines).sorted { $0.at < $1.at }
        case .task(let id): return try taskStory(id, lines)
        case .worker, .ledger: return lines.isEmpty ? nil : lines
        }
    }

    private func taskStory(_ id: TaskID, _ lines: [StoryLine]) throws -> [StoryLine]? {
        guard
            let row = try database.read({ db in
                try Row.fetchOne(db, sql: "SELECT * FROM task WHERE id = ?", arguments: [id])
            })
        else {
            return lines.isEmpty ? nil : lines
        }
        let job: JobID = row["job"]
        let stage = try Self.stage(row["stage"], of: job)
        let what =
            switch UnitID(stored: row["unit"], stage: stage) {
            case .pattern(let index): "pattern \(index)"
            case .file(let file): try self.file(file)?.url ?? "file \(file)"
            }
        let blocks = stage == .specs ? ", blocks \(row["first"] as Int)..<\(row["end"] as Int)" : ""
        var story = [
            StoryLine(at: lines.first?.at ?? 0, text: "job \(job), stage \(stage.rawValue): \(what)\(blocks)")
        ]
        story += lines
        let last = lines.last?.at ?? 0
        func add(_ text: String) { story.append(StoryLine(at: last, text: text)) }
        let (attempts, worker): (Int, WorkerID) = (row["attempts"], row["worker"])
        let token = Token(stored: row["token"]).map { " under token \($0)" } ?? ", whose token is retired"
        add("assigned \(attempts) times, the last to worker \(worker)\(token)")
        if let second = Token(stored: row["second"]) { add("assigned to a second worker under token \(second)") }
        if let crashes = row["kills"] as Int?, crashes > 0 { add("\(crashes) workers died with it") }
        if let token = row["counted"] as Token? { add("counted under token \(token)") }
        return story
    }

    /// How many of a job's files made it fail.
    package func unreadable(_ job: JobID) throws -> Int {
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
                    sql: """
                        SELECT EXISTS (SELECT 1 FROM checkpoint WHERE digest = ?1) OR EXISTS (SELECT 1 FROM job \
                        WHERE ?1 IN (manifest, data_plan, training_plan, bundle))
                        """
                ),
                arguments: [digest]) ?? false
        }
    }

    /// The digests of all blobs that a job names.
    package func namedBlobs() throws -> Set<String> {
        try database.read { db in
            try String.fetchSet(
                db,
                sql: """
                    SELECT digest FROM checkpoint UNION SELECT manifest FROM job WHERE manifest IS NOT NULL \
                    UNION SELECT data_plan FROM job WHERE data_plan IS NOT NULL \
                    UNION SELECT training_plan FROM job WHERE training_plan IS NOT NULL \
                    UNION SELECT bundle FROM job WHERE bundle IS NOT NULL
                    """)
        }
    }

    /// Who took part in a job's training.
    package func members(_ job: JobID) throws -> [RunRecord.Member] {
        try database.read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM member WHERE job = ? ORDER BY first_round, name, kernels", arguments: [job]
            ).map {
                RunRecord.Member(
                    name: $0["name"], instructionSet: $0["kernels"], firstRound: $0["first_round"],
                    lastRound: $0["last_round"])
            }
        }
    }

    /// A failed or cancelled job goes back to where it was.
    /// - Parameter withoutUnreadable: files that failed it are left out, and a training restarts from the specs that
    ///   are left.
    /// - Returns: nil where there is nothing to be retried.
    package func retry(_ id: JobID, withoutUnreadable: Bool, at time: Double) throws -> RestoredJob? {
        guard let job = try job(id), job.stage == .failed || job.stage == .cancelled else { return nil }
        try transaction { db in
            var stage = job.failedStage ?? .queued
            if withoutUnreadable {
                try Self.deleteTasks(
                    """
                    job = ?1 AND stage <> 'list' AND unit IN (SELECT id FROM file WHERE job = ?1 \
                    AND unreadable IS NOT NULL)
                    """,
                    [id], db)
                try db.execute(
                    sql: """
                        DELETE FROM partial WHERE file IN (SELECT id FROM file WHERE job = ? AND unreadable IS NOT NULL)
                        """,
                    arguments: [id])
                try db.execute(
                    sql: """
                        UPDATE file SET skipped = unreadable, specs = NULL, block_rows = NULL WHERE job = ? \
                        AND unreadable IS NOT NULL
                        """,
                    arguments: [id])
                if stage.trains || stage == .publish {
                    for table in ["checkpoint", "epoch", "evaluation", "publication", "member"] {
                        try db.execute(sql: "DELETE FROM \(table) WHERE job = ?", arguments: [id])
                    }
                    try db.execute(
                        sql: """
                            UPDATE job SET manifest = NULL, data_plan = NULL, training_plan = NULL, bundle = NULL, \
                            test = NULL WHERE id = ?
                            """,
                        arguments: [id])
                    stage = .train
                }
            }
            try db.execute(sql: "UPDATE file SET unreadable = NULL WHERE job = ?", arguments: [id])
            // Earlier failures count no more: the sites may have changed.
            try db.execute(
                sql: "UPDATE task SET kills = 0, token = 0, second = 0 WHERE job = ? AND counted IS NULL",
                arguments: [id])
            try db.execute(
                sql: """
                    UPDATE job SET stage = ?, error = NULL, finished = NULL, failed_stage = NULL, paused = 0 \
                    WHERE id = ?
                    """,
                arguments: [stage.rawValue, id])
            try db.execute(
                sql: "DELETE FROM stage WHERE job = ? AND stage IN ('failed', 'cancelled', 'done')", arguments: [id])
            let suffix = withoutUnreadable ? ", without what could not be read" : ""
            try Self.add("tried again" + suffix, to: .job(id), time, db)
        }
        guard let record = try self.job(id) else { return nil }
        return try database.read { db in try Self.restored(record, db) }
    }
}
