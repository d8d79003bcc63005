import Bytes
package import Cluster
import Foundation
import GRDB
import Scheduling
import Synchronization

/// Jobs, files, tasks, checkpoints and publications, in SQLite. What a call returned from survives kill -9.
///
/// Calls block; the coordinator makes them on a thread of its own. One coordinator owns a ledger at a time: each takes
/// a new *life* when it opens the ledger, and every transaction of an earlier life is rejected from then on.
package final class Ledger: Sendable {
    let database: any DatabaseWriter
    private let life = Mutex<Int64>(0)
    private let isFencedOff = Mutex(false)
    /// Lists of branches, by their numbers.
    private let layouts = Mutex(BoundedCache<Int64, [SurveyedBranch]>(limit: 1000))

    /// - Parameters:
    ///   - path: of the database file; made where it does not exist.
    ///   - check: looks at the ledger's newest life and at how many jobs it has, before this life begins; what it
    ///     throws leaves the ledger to whoever had it.
    package init(path: String, check: (_ life: Int64, _ jobs: Int) throws -> Void = { _, _ in }) throws {
        var configuration = Configuration()
        configuration.prepareDatabase { db in
            try db.execute(
                sql: """
                    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                    PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 16384
                    """
            )
        }
        database = try DatabaseQueue(path: path, configuration: configuration)
        try database.read(Self.checkFormat)
        let (last, jobs) = try database.read { db in
            (
                try db.tableExists("counter")
                    ? Int64.fetchOne(db, sql: "SELECT value FROM counter WHERE name = 'life'") ?? 0 : 0,
                try db.tableExists("job") ? Int.fetchOne(db, sql: "SELECT COUNT(*) FROM job") ?? 0 : 0
            )
        }
        try check(last, jobs)
        try Self.migrator.migrate(database)
        _ = try beginLife()
    }

    /// Opens a ledger that its coordinator has open already, for reading alone: a pool of connections, each of which
    /// sees what was committed last, whatever the coordinator is writing meanwhile. It takes no life, and every write
    /// fails.
    /// - Parameter count: connections at most.
    package init(readersOf path: String, count: Int) throws {
        var configuration = Configuration()
        configuration.readonly = true
        configuration.maximumReaderCount = count
        configuration.prepareDatabase { db in try db.execute(sql: "PRAGMA cache_size = -16384") }
        database = try DatabasePool(path: path, configuration: configuration)
    }

    /// - Throws: `LedgerFailure.newer` where a newer program has changed the ledger's schema.
    private static func checkFormat(_ db: Database) throws {
        guard try migrator.hasBeenSuperseded(db) else { return }
        let applied = try migrator.appliedIdentifiers(db).compactMap { Int($0) }.max() ?? 0
        throw LedgerFailure.newer(format: applied, newest: migrator.migrations.compactMap { Int($0) }.max() ?? 0)
    }

    func beginLife() throws -> Int64 {
        let new = try database.write { try Self.increase("life", by: 1, $0) }
        life.withLock { $0 = new }
        return new
    }

    /// The number of this life.
    package var currentLife: Int64 { life.withLock { $0 } }

    /// Whether another coordinator has begun a later life, as far as a transaction or `verifyLife` has seen.
    package var isFenced: Bool { isFencedOff.withLock { $0 } }

    /// - Throws: `LedgerFailure.takenOver` where another coordinator has begun a later life; what SQLite throws.
    package func verifyLife() throws { try database.read(checkLife) }

    private func checkLife(_ db: Database) throws {
        let current = try Int64.fetchOne(db.cachedStatement(sql: "SELECT value FROM counter WHERE name = 'life'"))
        guard current == life.withLock({ $0 }) else {
            isFencedOff.withLock { $0 = true }
            throw LedgerFailure.takenOver
        }
    }

    /// Moves what is in the write-ahead log to the ledger's file, and leaves the log empty: the file alone is the
    /// ledger then. Left out where another coordinator has taken over.
    /// - Throws: what SQLite throws.
    package func checkpoint() throws {
        guard !isFenced else { return }
        let busy = try database.writeWithoutTransaction { db in
            try Int.fetchOne(db, sql: "PRAGMA wal_checkpoint(TRUNCATE)") ?? 0
        }
        guard busy == 0 else {
            throw DatabaseError(resultCode: .SQLITE_BUSY, message: "another process reads the ledger")
        }
    }

    /// The JSON of a document as it is stored: keys sorted, slashes not escaped, so that equal values have equal text.
    package static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// - Throws: an error that names the document, where a newer program wrote it or it is damaged.
    package static func value<T: Decodable>(_: T.Type, _ text: String) throws -> T {
        do { return try JSONDecoder().decode(T.self, from: Data(text.utf8)) } catch let newer as NewerFormat {
            throw InputError(
                .unsupported, newer.description, file: "the ledger", expected: "format \(newer.newest) or older",
                found: "format \(newer.format)")
        } catch {
            throw InputError(
                .corrupt, "a document in the ledger is not understood", file: "the ledger", expected: "\(T.self)",
                found: "\(error)")
        }
    }

    // MARK: Jobs

    /// A job as the ledger has it; times are seconds since 1970.
    package struct JobRecord: Sendable {
        package var id: JobID
        package var description: JobDescription
        package var stage: JobStage
        package var error: String?
        /// The notes of its submission; see `Ledger.notes` for all.
        package var notes: [String]
        package var branches: [String]?
        /// The digest of the blob that was both plans in one, of a job that an earlier version planned.
        package var combinedManifest: String?
        /// The digests of the data plan and the training plan; nil before the job trains.
        package var dataPlan: String?
        package var trainingPlan: String?
        package var bundle: String?
        package var test: PartMetrics?
        package var paused: Bool
        /// Where a retry would go on.
        package var failedStage: JobStage?
        /// The newest training round; nil before the first.
        package var round: RoundNumber?
        package var submitted: Double
        package var finished: Double?
    }

    /// Adds a job in the stage `queued`, with its datasets, in one transaction.
    /// - Parameters:
    ///   - notes: what the user should know of it from the beginning.
    ///   - time: the time of submission, in seconds since 1970.
    /// - Returns: the job's number.
    /// - Throws: `LedgerFailure.takenOver` where another coordinator has opened the ledger.
    package func addJob(_ job: JobDescription, notes: [String] = [], at time: Double) throws -> JobID {
        var id = JobID(0)
        try transaction { db in
            try db.execute(
                sql: "INSERT INTO job (name, description, stage, notes, submitted) VALUES (?, ?, ?, ?, ?)",
                arguments: [job.name, try Self.json(job), JobStage.queued.rawValue, try Self.json(notes), time])
            id = JobID(db.lastInsertedRowID)
            for (ordinal, dataset) in job.datasets.enumerated() {
                try db.execute(
                    sql: "INSERT INTO dataset (job, ordinal, name, label) VALUES (?, ?, ?, ?)",
                    arguments: [id, ordinal, dataset.name, dataset.label])
            }
        }
        return id
    }

    /// All jobs, in the order of their submission.
    package func jobs() throws -> [JobRecord] {
        try database.read { db in try Row.fetchAll(db, sql: "SELECT * FROM job ORDER BY id").map(Self.job) }
    }

    /// The jobs whose documents can be read. One that is damaged stays as it is in the ledger: it keeps no other from
    /// going on, and whoever asks for it gets the reason.
    /// - Throws: `InputError` where a newer program wrote one; what SQLite throws.
    func readableJobs() throws -> [JobRecord] {
        try database.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM job ORDER BY id").compactMap { row in
                do { return try Self.job(row) } catch let error as InputError where error.code == .corrupt {
                    return nil
                }
            }
        }
    }

    /// A job's name, which is no document: it can be read of a damaged job too. Empty where there is no such job.
    package func name(_ id: JobID) throws -> String {
        try database.read { db in
            try String.fetchOne(db, sql: "SELECT name FROM job WHERE id = ?", arguments: [id]) ?? ""
        }
    }

    /// Every job's number, stage, and the time of its end (seconds since 1970), in the order of submission; without
    /// decoding what else it has.
    package func jobStages() throws -> [(id: JobID, stage: JobStage, finished: Double?)] {
        try database.read { db in
            try Row.fetchAll(db, sql: "SELECT id, stage, finished FROM job ORDER BY id").map {
                (row) throws -> (id: JobID, stage: JobStage, finished: Double?) in
                (row["id"], try Self.stage(row["stage"], of: row["id"]), row["finished"])
            }
        }
    }

    /// Notes of one job that are kept; more are counted.
    package static let maxNotes = 1000

    /// What the user should know of a job, in the order in which it was noted: the notes of the job's own row, then
    /// those that were added, and how many more there were.
    package func notes(_ job: JobRecord) throws -> [String] {
        try database.read { db in
            let own = Set(job.notes)
            var notes =
                job.notes
                + (try String.fetchAll(db, sql: "SELECT text FROM note WHERE job = ? ORDER BY id", arguments: [job.id]))
                .filter { !own.contains($0) }
            let leftOut =
                try Int.fetchOne(db, sql: "SELECT left_out FROM note_count WHERE job = ?", arguments: [job.id]) ?? 0
            if leftOut > 0 { notes.append("and \(leftOut) more notes, which are not kept") }
            return notes
        }
    }

    /// One job; nil where there is none with this number.
    package func job(_ id: JobID) throws -> JobRecord? {
        try database.read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM job WHERE id = ?", arguments: [id]).map(Self.job)
        }
    }

    /// - Throws: an error that names the stage, where this program does not know it.
    static func stage(_ name: String, of job: JobID) throws -> JobStage {
        guard let stage = JobStage(rawValue: name) else {
            throw InputError(
                .unsupported, "the ledger has a job in a stage that this program does not know", object: "job \(job)",
                expected: JobStage.allCases.map(\.rawValue).joined(separator: ", "), found: name,
                hint: "A newer version of beamline wrote it: start that version.")
        }
        return stage
    }

    static func job(_ row: Row) throws -> JobRecord {
        let id: JobID = row["id"]
        return JobRecord(
            id: id, description: try value(JobDescription.self, row["description"]),
            stage: try stage(row["stage"], of: id), error: row["error"],
            notes: try value([String].self, row["notes"]),
            branches: try (row["branches"] as String?).map { try value([String].self, $0) },
            combinedManifest: row["manifest"], dataPlan: row["data_plan"], trainingPlan: row["training_plan"],
            bundle: row["bundle"],
            test: try (row["test"] as String?).map { try value(PartMetrics.self, $0) }, paused: row["paused"],
            failedStage: try (row["failed_stage"] as String?).map { try stage($0, of: id) },
            round: (row["round"] as RoundNumber?).flatMap { $0.rawValue == 0 ? nil : $0 },
            submitted: row["submitted"], finished: row["finished"])
    }

    /// When each stage of a job began, in their order; seconds since 1970.
    package func stages(_ job: JobID) throws -> [(stage: JobStage, started: Double)] {
        try database.read { db in
            try Row.fetchAll(db, sql: "SELECT stage, started FROM stage WHERE job = ?", arguments: [job])
                .map { row in (try Self.stage(row["stage"], of: job), row["started"]) }
                .sorted { ($0.started, $0.stage.order) < ($1.started, $1.stage.order) }
        }
    }

    // MARK: Files

    /// A file of a job's list as the ledger has it.
    package struct FileRecord: Sendable {
        package var id: FileID
        package var job: JobID
        package var dataset: Int
        package var logical: String
        package var replicas: FileReplicas
        package var survey: Survey?
        package var skipped: String?
        /// Where the smallest chunks end, in blocks; nil before the specs stage.
        package var cuts: [Int32]?

        package var url: String { replicas.url }

        /// The file as the survey found it.
        package var surveyed: FileReplicas {
            var file = replicas
            file.size = survey?.bytes ?? file.size
            file.adler32 = survey?.adler32 ?? file.adler32
            return file
        }
    }

    /// Without the branches of its survey: see `whole`.
    static func file(_ row: Row) throws -> FileRecord {
        FileRecord(
            id: row["id"], job: row["job"], dataset: row["dataset"], logical: row["logical"],
            replicas: try (row["replicas"] as String?).map { try value(FileReplicas.self, $0) }
                ?? FileReplicas(row["url"] as String),
            survey: try (row["survey"] as String?).map { try value(Survey.self, $0) }, skipped: row["skipped"],
            cuts: (row["cuts"] as Data?).map(Self.integers))
    }

    /// With the branches of its survey.
    private func whole(_ row: Row, _ db: Database) throws -> FileRecord {
        var file = try Self.file(row)
        guard let layout = row["layout"] as Int64? else { return file }
        if let known = layouts.withLock({ $0.value(for: layout) }) {
            file.survey?.branches = known
        } else {
            let body =
                try String.fetchOne(
                    db.cachedStatement(sql: "SELECT body FROM layout WHERE id = ?"), arguments: [layout]) ?? "[]"
            let branches = try Self.value([SurveyedBranch].self, body)
            layouts.withLock { $0.insert(branches, for: layout) }
            file.survey?.branches = branches
        }
        return file
    }

    /// The branches as the first file's survey saw them.
    package func surveyedBranches(_ job: JobID) throws -> [String: SurveyedBranch] {
        try database.read { db in
            let row = try Row.fetchOne(
                db,
                sql: """
                    SELECT * FROM file WHERE job = ? AND skipped IS NULL AND survey IS NOT NULL \
                    ORDER BY dataset, logical, url LIMIT 1
                    """,
                arguments: [job])
            return Dictionary(
                try row.map { try whole($0, db) }?.survey?.branches.map { ($0.name, $0) } ?? [],
                uniquingKeysWith: { first, _ in first })
        }
    }

    /// A job's files by the first of their URLs.
    package func fileNumbers(_ job: JobID) throws -> [String: FileID] {
        try database.read { db in
            Dictionary(
                try Row.fetchAll(
                    db, sql: "SELECT id, url FROM file WHERE job = ? ORDER BY dataset, logical, url", arguments: [job]
                ).map { ($0["url"] as String, $0["id"] as FileID) },
                uniquingKeysWith: { first, _ in first })
        }
    }

    static func bytes(_ values: [Int32]) -> Data { values.withUnsafeBytes { Data($0) } }

    static func integers(_ data: Data) -> [Int32] {
        data.withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map {
                Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self))
            }
        }
    }

    /// One file, with the branches of its survey; nil where there is none with this number.
    package func file(_ id: FileID) throws -> FileRecord? {
        try database.read { db in
            try Row.fetchOne(db.cachedStatement(sql: "SELECT * FROM file WHERE id = ?"), arguments: [id]).map {
                try whole($0, db)
            }
        }
    }

    /// The frozen list: sorted by dataset, logical name and URL.
    package func files(_ job: JobID) throws -> [FileRecord] {
        try database.read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM file WHERE job = ? ORDER BY dataset, logical, url", arguments: [job]
            ).map { try whole($0, db) }
        }
    }

    /// How many files a job has, and the entries of those that are not skipped; without reading every survey.
    package func totals(_ job: JobID) throws -> (files: Int, entries: Int64) {
        try database.read { db in
            let row = try Row.fetchOne(
                db,
                sql: """
                    SELECT COUNT(*) AS files, COALESCE(SUM(CASE WHEN skipped IS NULL THEN entries END), 0) AS entries \
                    FROM file WHERE job = ?
                    """, arguments: [job])
            return (row?["files"] ?? 0, row?["entries"] ?? 0)
        }
    }

    // MARK: Training and publishing

    /// The newest checkpoint of a job: its blob's digest, the step after which it was taken, and the round that stored
    /// it; nil before the first.
    package func checkpoint(_ job: JobID) throws -> (digest: String, step: Int64, round: RoundNumber)? {
        try database.read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM checkpoint WHERE job = ?", arguments: [job]).map {
                ($0["digest"], $0["step"], $0["round"])
            }
        }
    }

    /// The metrics of a job's finished epochs, in their order.
    package func epochs(_ job: JobID) throws -> [EpochMetrics] {
        try database.read { db in
            try String.fetchAll(db, sql: "SELECT metrics FROM epoch WHERE job = ? ORDER BY epoch", arguments: [job]).map
            { try Self.value(EpochMetrics.self, $0) }
        }
    }

    /// What a job's finished model does on train and test; nil before the end of its training, and for a job whose
    /// training an earlier version ended.
    package func evaluation(_ job: JobID) throws -> EvaluationReport? {
        try database.read { db in
            try String.fetchOne(db, sql: "SELECT report FROM evaluation WHERE job = ?", arguments: [job]).map {
                try Self.value(EvaluationReport.self, $0)
            }
        }
    }

    /// The inference nodes that a job's model was pushed to, sorted by name: the digest of the bundle, and whether the
    /// node acknowledged it.
    package func publications(_ job: JobID) throws -> [(node: String, digest: String, acknowledged: Bool)] {
        try database.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM publication WHERE job = ? ORDER BY node", arguments: [job])
                .map { ($0["node"], $0["digest"], $0["acknowledged"]) }
        }
    }

    /// The next value of a counter that never repeats.
    package func next(_ counter: String, by amount: Int64 = 1) throws -> Int64 {
        try database.write { try Self.increase(counter, by: amount, $0) }
    }

    private static func increase(_ counter: String, by amount: Int64, _ db: Database) throws -> Int64 {
        try Int64.fetchOne(
            db,
            sql: """
                INSERT INTO counter (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE \
                SET value = value + excluded.value RETURNING value
                """,
            arguments: [counter, amount])!
    }

    /// One transaction of this life.
    func transaction(_ body: (Database) throws -> Void) throws {
        try database.write { db in
            try checkLife(db)
            try body(db)
        }
    }
}

/// Why the ledger rejects a transaction, or cannot be opened.
package enum LedgerFailure: Error, CustomStringConvertible, Equatable {
    case takenOver
    /// A newer program has changed its schema.
    case newer(format: Int, newest: Int)
    /// A receipt under a token that is not the task's.
    case fenced(LeaseName)

    package var description: String {
        switch self {
        case .takenOver: "another coordinator has taken over this ledger, and only the newest may write"
        case .newer(let format, let newest):
            "the ledger has format \(format), and this program reads formats up to \(newest): "
                + "a newer version of beamline wrote it; install that version"
        case .fenced(let lease):
            "the receipt for task \(lease.task) is under token \(lease.token), which is not the task's"
        }
    }
}
