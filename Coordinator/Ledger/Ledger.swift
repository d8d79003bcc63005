import Cluster
import Foundation
import GRDB
import Scheduling

/// Jobs, files, tasks, leases, receipts, checkpoints and publications, in SQLite. What a call returned from survives kill -9.
///
/// Calls block; the coordinator makes them on a thread of its own.
package final class Ledger: Sendable {
    private let database: DatabaseQueue

    package init(path: String) throws {
        var configuration = Configuration()
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")
        }
        database = try DatabaseQueue(path: path, configuration: configuration)
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in try db.execute(sql: Self.schema) }
        // A file's places, size and checksum, as its list gave them.
        migrator.registerMigration("2") { db in try db.execute(sql: "ALTER TABLE file ADD COLUMN replicas TEXT") }
        migrator.registerMigration("3") { db in
            try db.execute(sql: """
                CREATE TABLE stage (job INTEGER NOT NULL REFERENCES job, stage TEXT NOT NULL, started REAL NOT NULL, PRIMARY KEY (job, stage)) WITHOUT ROWID
                """)
        }
        try migrator.migrate(database)
    }

    private static let schema = """
        CREATE TABLE job (id INTEGER PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, stage TEXT NOT NULL, error TEXT,
          notes TEXT NOT NULL DEFAULT '[]', branches TEXT, manifest TEXT, bundle TEXT, test TEXT, submitted REAL NOT NULL, finished REAL);
        CREATE TABLE dataset (job INTEGER NOT NULL REFERENCES job, ordinal INTEGER NOT NULL, name TEXT NOT NULL, label INTEGER,
          PRIMARY KEY (job, ordinal)) WITHOUT ROWID;
        CREATE TABLE file (id INTEGER PRIMARY KEY, job INTEGER NOT NULL REFERENCES job, dataset INTEGER NOT NULL, logical TEXT NOT NULL,
          url TEXT NOT NULL, survey TEXT, skipped TEXT);
        CREATE UNIQUE INDEX file_once ON file (job, dataset, logical, url);
        CREATE TABLE task (id INTEGER PRIMARY KEY, job INTEGER NOT NULL REFERENCES job, stage TEXT NOT NULL, dataset INTEGER NOT NULL,
          file INTEGER REFERENCES file, first INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL);
        CREATE INDEX task_stage ON task (job, stage);
        CREATE TABLE lease (task INTEGER PRIMARY KEY REFERENCES task, token INTEGER NOT NULL, worker INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 1);
        CREATE TABLE receipt (task INTEGER PRIMARY KEY REFERENCES task, token INTEGER NOT NULL, digest TEXT NOT NULL, result TEXT NOT NULL, specs BLOB);
        CREATE TABLE checkpoint (job INTEGER PRIMARY KEY REFERENCES job, digest TEXT NOT NULL, step INTEGER NOT NULL, round INTEGER NOT NULL);
        CREATE TABLE epoch (job INTEGER NOT NULL REFERENCES job, epoch INTEGER NOT NULL, metrics TEXT NOT NULL, PRIMARY KEY (job, epoch)) WITHOUT ROWID;
        CREATE TABLE publication (job INTEGER NOT NULL REFERENCES job, node TEXT NOT NULL, digest TEXT NOT NULL, acknowledged INTEGER NOT NULL,
          PRIMARY KEY (job, node)) WITHOUT ROWID;
        CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
        """

    package static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    package static func value<T: Decodable>(_: T.Type, _ text: String) throws -> T {
        try JSONDecoder().decode(T.self, from: Data(text.utf8))
    }

    private func write(_ sql: String, _ arguments: StatementArguments) throws {
        try database.write { db in try db.execute(sql: sql, arguments: arguments) }
    }

    // MARK: Jobs

    package struct JobRecord: Sendable {
        package var id: Int64
        package var description: JobDescription
        package var stage: JobStage
        package var error: String?
        package var notes: [String]
        package var branches: [String]?
        package var manifest: String?
        package var bundle: String?
        package var test: PartMetrics?
    }

    package func addJob(_ job: JobDescription, at time: Double) throws -> Int64 {
        try database.write { db in
            try db.execute(
                sql: "INSERT INTO job (name, description, stage, submitted) VALUES (?, ?, ?, ?)",
                arguments: [job.name, try Self.json(job), JobStage.queued.rawValue, time])
            let id = db.lastInsertedRowID
            for (ordinal, dataset) in job.datasets.enumerated() {
                try db.execute(
                    sql: "INSERT INTO dataset (job, ordinal, name, label) VALUES (?, ?, ?, ?)",
                    arguments: [id, ordinal, dataset.name, dataset.label])
            }
            return id
        }
    }

    package func jobs() throws -> [JobRecord] {
        try database.read { db in try Row.fetchAll(db, sql: "SELECT * FROM job ORDER BY id").map(Self.job) }
    }

    package func job(_ id: Int64) throws -> JobRecord? {
        try database.read { db in try Row.fetchOne(db, sql: "SELECT * FROM job WHERE id = ?", arguments: [id]).map(Self.job) }
    }

    private static func job(_ row: Row) throws -> JobRecord {
        JobRecord(
            id: row["id"], description: try value(JobDescription.self, row["description"]),
            stage: JobStage(rawValue: row["stage"]) ?? .failed, error: row["error"], notes: try value([String].self, row["notes"]),
            branches: try (row["branches"] as String?).map { try value([String].self, $0) }, manifest: row["manifest"], bundle: row["bundle"],
            test: try (row["test"] as String?).map { try value(PartMetrics.self, $0) })
    }

    package func setStage(_ job: Int64, _ stage: JobStage, error: String? = nil, at time: Double) throws {
        try database.write { db in
            try db.execute(
                sql: "UPDATE job SET stage = ?, error = ?, finished = ? WHERE id = ?",
                arguments: [stage.rawValue, error, stage.isFinal ? time : nil, job])
            try Self.begin(stage, of: job, at: time, db)
        }
    }

    private static func begin(_ stage: JobStage, of job: Int64, at time: Double, _ db: Database) throws {
        try db.execute(sql: "INSERT OR IGNORE INTO stage (job, stage, started) VALUES (?, ?, ?)", arguments: [job, stage.rawValue, time])
    }

    /// When each stage of a job began, in their order; seconds since 1970.
    package func stages(_ job: Int64) throws -> [(stage: JobStage, started: Double)] {
        try database.read { db in
            try Row.fetchAll(db, sql: "SELECT stage, started FROM stage WHERE job = ?", arguments: [job])
                .compactMap { row in JobStage(rawValue: row["stage"]).map { ($0, row["started"]) } }
                .sorted { $0.started < $1.started }
        }
    }

    package func setNotes(_ job: Int64, _ notes: [String]) throws {
        try write("UPDATE job SET notes = ? WHERE id = ?", [try Self.json(notes), job])
    }

    package func setBranches(_ job: Int64, _ branches: [String]) throws {
        try write("UPDATE job SET branches = ? WHERE id = ?", [try Self.json(branches), job])
    }

    package func setManifest(_ job: Int64, _ digest: String) throws {
        try write("UPDATE job SET manifest = ? WHERE id = ?", [digest, job])
    }

    package func setBundle(_ job: Int64, _ digest: String) throws {
        try write("UPDATE job SET bundle = ? WHERE id = ?", [digest, job])
    }

    // MARK: Files

    package struct FileRecord: Sendable {
        package var id: Int64
        package var dataset: Int
        package var logical: String
        package var replicas: FileReplicas
        package var survey: Survey?
        package var skipped: String?

        package var url: String { replicas.url }

        /// The file as the survey found it.
        package var surveyed: FileReplicas {
            var file = replicas
            file.size = survey?.bytes ?? file.size
            file.adler32 = survey?.adler32 ?? file.adler32
            return file
        }
    }

    private static func file(_ row: Row) throws -> FileRecord {
        FileRecord(
            id: row["id"], dataset: row["dataset"], logical: row["logical"],
            replicas: try (row["replicas"] as String?).map { try value(FileReplicas.self, $0) } ?? FileReplicas(row["url"] as String),
            survey: try (row["survey"] as String?).map { try value(Survey.self, $0) }, skipped: row["skipped"])
    }

    /// The frozen list: sorted by dataset, logical name and URL.
    package func files(_ job: Int64) throws -> [FileRecord] {
        try database.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM file WHERE job = ? ORDER BY dataset, logical, url", arguments: [job]).map(Self.file)
        }
    }

    /// How many files a job has, and the entries of those that are not skipped; without reading every survey.
    package func totals(_ job: Int64) throws -> (files: Int, entries: Int64) {
        try database.read { db in
            let row = try Row.fetchOne(
                db, sql: """
                    SELECT COUNT(*) AS files, COALESCE(SUM(CASE WHEN skipped IS NULL THEN json_extract(survey, '$.entries') END), 0) AS entries
                    FROM file WHERE job = ?
                    """, arguments: [job])
            return (row?["files"] ?? 0, row?["entries"] ?? 0)
        }
    }

    package func skip(file: Int64, because reason: String) throws {
        try write("UPDATE file SET skipped = ? WHERE id = ?", [reason, file])
    }

    // MARK: Tasks, leases, receipts

    package struct TaskRecord: Sendable {
        package var id: Int64
        package var dataset: Int
        package var file: Int64?
        package var body: TaskBody

        package init(id: Int64 = 0, dataset: Int, file: Int64?, body: TaskBody) {
            self.id = id
            self.dataset = dataset
            self.file = file
            self.body = body
        }
    }

    /// Enters a stage with its tasks, in one transaction: a crash leaves either the old stage or all of the new one.
    package func enter(_ job: Int64, _ stage: JobStage, _ tasks: [TaskRecord], at time: Double) throws {
        try database.write { db in
            for task in tasks {
                var first: Int64 = 0
                if case .chunk(let chunk) = task.body { first = chunk.boundaries.first ?? 0 }
                try db.execute(
                    sql: "INSERT INTO task (job, stage, dataset, file, first, body) VALUES (?, ?, ?, ?, ?, ?)",
                    arguments: [job, stage.rawValue, task.dataset, task.file, first, try Self.json(task.body)])
            }
            try db.execute(sql: "UPDATE job SET stage = ? WHERE id = ?", arguments: [stage.rawValue, job])
            try Self.begin(stage, of: job, at: time, db)
        }
    }

    package func tasks(_ job: Int64, _ stage: JobStage) throws -> [TaskRecord] {
        try database.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM task WHERE job = ? AND stage = ? ORDER BY id", arguments: [job, stage.rawValue]).map { row in
                TaskRecord(id: row["id"], dataset: row["dataset"], file: row["file"], body: try Self.value(TaskBody.self, row["body"]))
            }
        }
    }

    package func recordLeases(_ leases: [LeaseName], worker: Int64) throws {
        try database.write { db in
            for lease in leases {
                try db.execute(
                    sql: """
                        INSERT INTO lease (task, token, worker) VALUES (?, ?, ?)
                        ON CONFLICT (task) DO UPDATE SET token = excluded.token, worker = excluded.worker, attempts = attempts + 1
                        """, arguments: [lease.task, lease.token, worker])
            }
        }
    }

    package func attempts(_ task: Int64) throws -> Int {
        try database.read { db in try Int.fetchOne(db, sql: "SELECT attempts FROM lease WHERE task = ?", arguments: [task]) ?? 0 }
    }

    package func leases(_ job: Int64) throws -> [(lease: LeaseName, worker: Int64)] {
        try database.read { db in
            try Row.fetchAll(db, sql: "SELECT lease.* FROM lease JOIN task ON task.id = lease.task WHERE job = ?", arguments: [job])
                .map { (LeaseName(task: $0["task"], token: $0["token"]), $0["worker"]) }
        }
    }

    package func largestToken() throws -> Int64 {
        try database.read { db in try Int64.fetchOne(db, sql: "SELECT MAX(token) FROM lease") ?? 0 }
    }

    /// Counts a receipt with all that follows from it, in one transaction.
    package func count(_ lease: LeaseName, digest: String, _ result: TaskResult, specs: [UInt8], task: TaskRecord, job: Int64) throws {
        try database.write { db in
            try db.execute(
                sql: "INSERT INTO receipt (task, token, digest, result, specs) VALUES (?, ?, ?, ?, ?)",
                arguments: [lease.task, lease.token, digest, try Self.json(result), specs.isEmpty ? nil : Data(specs)])
            switch result {
            case .listed(let files):
                for file in files {
                    try db.execute(
                        sql: "INSERT OR IGNORE INTO file (job, dataset, logical, url, replicas) VALUES (?, ?, ?, ?, ?)",
                        arguments: [job, task.dataset, file.logicalName, file.url, try Self.json(file)])
                }
            case .surveyed(let survey):
                try db.execute(sql: "UPDATE file SET survey = ? WHERE id = ?", arguments: [try Self.json(survey), task.file])
            case .counted: break
            case .failed(let reason, _):
                if let file = task.file {
                    try db.execute(sql: "UPDATE file SET skipped = ? WHERE id = ?", arguments: [reason, file])
                }
            }
        }
    }

    package func receipts(_ job: Int64, _ stage: JobStage) throws -> [(lease: LeaseName, digest: String, result: TaskResult)] {
        try database.read { db in
            try Row.fetchAll(
                db, sql: "SELECT receipt.task, token, digest, result FROM receipt JOIN task ON task.id = receipt.task WHERE job = ? AND stage = ?",
                arguments: [job, stage.rawValue]
            ).map { (LeaseName(task: $0["task"], token: $0["token"]), $0["digest"], try Self.value(TaskResult.self, $0["result"])) }
        }
    }

    /// Visits the partial specs of files that are not skipped, in the canonical order: dataset, logical name, first entry.
    package func forEachSpecs(_ job: Int64, _ body: (_ file: FileRecord, _ task: ChunkTask, _ specs: [UInt8]) throws -> Void) throws {
        try database.read { db in
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT task.body, receipt.specs, file.* FROM receipt
                    JOIN task ON task.id = receipt.task JOIN file ON file.id = task.file
                    WHERE task.job = ? AND task.stage = 'specs' AND file.skipped IS NULL AND receipt.specs IS NOT NULL
                    ORDER BY file.dataset, file.logical, file.url, task.first
                    """, arguments: [job])
            while let row = try rows.next() {
                guard case .chunk(let task) = try Self.value(TaskBody.self, row["body"]) else { continue }
                try body(try Self.file(row), task, [UInt8](row["specs"] as Data))
            }
        }
    }

    // MARK: Training and publishing

    package func recordCheckpoint(_ job: Int64, digest: String, step: Int64, round: Int64, metrics: EpochMetrics?) throws {
        try database.write { db in
            try db.execute(
                sql: """
                    INSERT INTO checkpoint (job, digest, step, round) VALUES (?, ?, ?, ?) ON CONFLICT (job)
                    DO UPDATE SET digest = excluded.digest, step = excluded.step, round = excluded.round WHERE excluded.step >= step
                    """, arguments: [job, digest, step, round])
            if let metrics {
                try db.execute(
                    sql: "INSERT OR REPLACE INTO epoch (job, epoch, metrics) VALUES (?, ?, ?)",
                    arguments: [job, metrics.epoch, try Self.json(metrics)])
            }
        }
    }

    package func checkpoint(_ job: Int64) throws -> (digest: String, step: Int64, round: Int64)? {
        try database.read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM checkpoint WHERE job = ?", arguments: [job]).map { ($0["digest"], $0["step"], $0["round"]) }
        }
    }

    package func epochs(_ job: Int64) throws -> [EpochMetrics] {
        try database.read { db in
            try String.fetchAll(db, sql: "SELECT metrics FROM epoch WHERE job = ? ORDER BY epoch", arguments: [job]).map { try Self.value(EpochMetrics.self, $0) }
        }
    }

    package func setTest(_ job: Int64, _ metrics: PartMetrics) throws {
        try write("UPDATE job SET test = ? WHERE id = ?", [try Self.json(metrics), job])
    }

    package func recordPublication(_ job: Int64, node: String, digest: String, acknowledged: Bool) throws {
        try write("INSERT OR REPLACE INTO publication (job, node, digest, acknowledged) VALUES (?, ?, ?, ?)", [job, node, digest, acknowledged])
    }

    package func publications(_ job: Int64) throws -> [(node: String, digest: String, acknowledged: Bool)] {
        try database.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM publication WHERE job = ? ORDER BY node", arguments: [job])
                .map { ($0["node"], $0["digest"], $0["acknowledged"]) }
        }
    }

    /// The next value of a counter that never repeats.
    package func next(_ counter: String) throws -> Int64 {
        try database.write { db in
            try Int64.fetchOne(
                db, sql: "INSERT INTO counter (name, value) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
                arguments: [counter])!
        }
    }
}
