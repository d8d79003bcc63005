package import GRDB

extension Ledger {
    /// Only ever appended to.
    package static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in try db.execute(sql: first) }
        // A file's replicas, size and checksum, as its list gave them.
        migrator.registerMigration("2") { db in try db.execute(sql: "ALTER TABLE file ADD COLUMN replicas TEXT") }
        migrator.registerMigration("3") { db in
            try db.execute(
                sql: """
                    CREATE TABLE stage (job INTEGER NOT NULL REFERENCES job, stage TEXT NOT NULL, \
                    started REAL NOT NULL, PRIMARY KEY (job, stage)) WITHOUT ROWID
                    """)
        }
        migrator.registerMigration("4") { db in try db.execute(sql: fourth) }
        migrator.registerMigration("5") { db in try db.execute(sql: fifth) }
        // What happened to the ledger itself was the story of worker 0, which does not exist.
        migrator.registerMigration("6") { db in
            try db.execute(sql: "UPDATE story SET subject = 3 WHERE subject = 2 AND id = 0")
        }
        migrator.registerMigration("7") { db in try db.execute(sql: seventh) }
        // A table of its own: a report is large, and a job's row is read often.
        migrator.registerMigration("8") { db in
            try db.execute(
                sql: "CREATE TABLE evaluation (job INTEGER PRIMARY KEY REFERENCES job, report TEXT NOT NULL)")
        }
        // SHA-256 of the folded specs and the blocks' rows, one after the other; null for what was folded before.
        migrator.registerMigration("9") { db in try db.execute(sql: "ALTER TABLE file ADD COLUMN specs_digest TEXT") }
        migrator.registerMigration("10") { db in try db.execute(sql: tenth) }
        return migrator
    }

    /// What is noted of a job while it runs, a row each: a job's row is long, and many notes were added to it one by
    /// one. `job.notes` has those of its submission, and all of what an earlier version noted. Beyond `maxNotes` of a
    /// job they are counted only.
    private static let tenth = """
        CREATE TABLE note (id INTEGER PRIMARY KEY, job INTEGER NOT NULL REFERENCES job, text TEXT NOT NULL);
        CREATE UNIQUE INDEX note_once ON note (job, text);
        CREATE TABLE note_count (job INTEGER PRIMARY KEY REFERENCES job, kept INTEGER NOT NULL, \
        left_out INTEGER NOT NULL);
        """

    /// Lanes are dealt and walked in another order, and the arithmetic rounds otherwise: a training that was under way
    /// is planned again and begins with its first step. Its specs stay.
    private static let seventh = """
        UPDATE job SET stage = 'train' WHERE stage = 'evaluate';
        UPDATE job SET failed_stage = 'train' WHERE failed_stage = 'evaluate';
        DELETE FROM checkpoint WHERE job IN (SELECT id FROM job WHERE stage = 'train' OR failed_stage = 'train');
        DELETE FROM epoch WHERE job IN (SELECT id FROM job WHERE stage = 'train' OR failed_stage = 'train');
        DELETE FROM member WHERE job IN (SELECT id FROM job WHERE stage = 'train' OR failed_stage = 'train');
        UPDATE job SET manifest = NULL, data_plan = NULL, training_plan = NULL, kernels = NULL, test = NULL
          WHERE stage = 'train' OR failed_stage = 'train';
        """

    /// What is trained on and how are two blobs. A job that was planned before keeps `manifest`, the digest of both in
    /// one; they are taken apart when its training goes on.
    private static let fifth = """
        ALTER TABLE job ADD COLUMN data_plan TEXT;
        ALTER TABLE job ADD COLUMN training_plan TEXT;
        """

    private static let first = """
        CREATE TABLE job (id INTEGER PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, stage TEXT NOT NULL, \
        error TEXT,
          notes TEXT NOT NULL DEFAULT '[]', branches TEXT, manifest TEXT, bundle TEXT, test TEXT, \
        submitted REAL NOT NULL, finished REAL);
        CREATE TABLE dataset (job INTEGER NOT NULL REFERENCES job, ordinal INTEGER NOT NULL, name TEXT NOT NULL, \
        label INTEGER,
          PRIMARY KEY (job, ordinal)) WITHOUT ROWID;
        CREATE TABLE file (id INTEGER PRIMARY KEY, job INTEGER NOT NULL REFERENCES job, dataset INTEGER NOT NULL, \
        logical TEXT NOT NULL,
          url TEXT NOT NULL, survey TEXT, skipped TEXT);
        CREATE UNIQUE INDEX file_once ON file (job, dataset, logical, url);
        CREATE TABLE task (id INTEGER PRIMARY KEY, job INTEGER NOT NULL REFERENCES job, stage TEXT NOT NULL, \
        dataset INTEGER NOT NULL,
          file INTEGER REFERENCES file, first INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL);
        CREATE INDEX task_stage ON task (job, stage);
        CREATE TABLE lease (task INTEGER PRIMARY KEY REFERENCES task, token INTEGER NOT NULL, worker INTEGER NOT NULL, \
        attempts INTEGER NOT NULL DEFAULT 1);
        CREATE TABLE receipt (task INTEGER PRIMARY KEY REFERENCES task, token INTEGER NOT NULL, digest TEXT NOT NULL, \
        result TEXT NOT NULL, specs BLOB);
        CREATE TABLE checkpoint (job INTEGER PRIMARY KEY REFERENCES job, digest TEXT NOT NULL, step INTEGER NOT NULL, \
        round INTEGER NOT NULL);
        CREATE TABLE epoch (job INTEGER NOT NULL REFERENCES job, epoch INTEGER NOT NULL, metrics TEXT NOT NULL, \
        PRIMARY KEY (job, epoch)) WITHOUT ROWID;
        CREATE TABLE publication (job INTEGER NOT NULL REFERENCES job, node TEXT NOT NULL, digest TEXT NOT NULL, \
        acknowledged INTEGER NOT NULL,
          PRIMARY KEY (job, node)) WITHOUT ROWID;
        CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
        """

    /// Tasks are cut when they are assigned, and a file's partial specs are folded when its last one is counted, so
    /// that what stays grows with the files. Jobs that were under way restart: their results are the same.
    ///
    /// - task: blocks `first..<end` of a unit (a pattern's ordinal, or a file); `token` and `second` are the tokens
    ///   that count (0 for none), `counted` the one that did, with the receipt's digest. Kept until its file is
    ///   complete, or the stage ends.
    /// - partial: the partial specs of a chunk, until its file is complete.
    /// - layout: the branches of surveyed trees, each list once: most files of a data set have the same. `survey` has
    ///   them only where `layout` is null.
    /// - file: `cuts`, 32-bit block numbers; `specs` and `block_rows`, the folded specs and the rows each block gives
    ///   (FoldedSpecs); `unreadable`, what a retry may leave out.
    /// - job: `kernels` is not used any more: it was the kernel type of OpenBLAS that a training used.
    /// - member: who took part in a job's training rounds. `kernels` holds the name of the worker's instruction set, of
    ///   earlier versions the kernel type of its OpenBLAS; `own_kernels`, which they used too, is written as ''.
    /// - story: what happened to a job (0), a task (1), a worker (2), for people.
    private static let fourth = """
        DROP TABLE receipt; DROP TABLE lease; DROP TABLE task;
        CREATE TABLE task (id INTEGER PRIMARY KEY, job INTEGER NOT NULL REFERENCES job, stage TEXT NOT NULL, \
        unit INTEGER NOT NULL,
          first INTEGER NOT NULL, "end" INTEGER NOT NULL, token INTEGER NOT NULL, second INTEGER NOT NULL DEFAULT 0, \
        worker INTEGER NOT NULL,
          attempts INTEGER NOT NULL DEFAULT 1, kills INTEGER NOT NULL DEFAULT 0, counted INTEGER, digest TEXT);
        CREATE TABLE partial (file INTEGER NOT NULL REFERENCES file, first INTEGER NOT NULL, task INTEGER NOT NULL, \
        specs BLOB NOT NULL);
        CREATE UNIQUE INDEX partial_once ON partial (file, first);
        CREATE TABLE layout (id INTEGER PRIMARY KEY, body TEXT NOT NULL, digest TEXT NOT NULL UNIQUE);
        ALTER TABLE file ADD COLUMN layout INTEGER REFERENCES layout;
        ALTER TABLE file ADD COLUMN entries INTEGER;
        UPDATE file SET entries = json_extract(survey, '$.entries') WHERE survey IS NOT NULL;
        ALTER TABLE file ADD COLUMN cuts BLOB;
        ALTER TABLE file ADD COLUMN specs BLOB;
        ALTER TABLE file ADD COLUMN block_rows BLOB;
        ALTER TABLE file ADD COLUMN unreadable TEXT;
        ALTER TABLE job ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE job ADD COLUMN failed_stage TEXT;
        ALTER TABLE job ADD COLUMN round INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE job ADD COLUMN kernels TEXT;
        CREATE TABLE member (job INTEGER NOT NULL REFERENCES job, name TEXT NOT NULL, kernels TEXT NOT NULL, \
        own_kernels TEXT NOT NULL,
          first_round INTEGER NOT NULL, last_round INTEGER NOT NULL, PRIMARY KEY (job, name, kernels)) WITHOUT ROWID;
        CREATE TABLE story (subject INTEGER NOT NULL, id INTEGER NOT NULL, at REAL NOT NULL, text TEXT NOT NULL);
        CREATE INDEX story_of ON story (subject, id);
        DELETE FROM checkpoint WHERE job IN (SELECT id FROM job WHERE stage NOT IN ('done', 'failed', 'cancelled'));
        DELETE FROM epoch WHERE job IN (SELECT id FROM job WHERE stage NOT IN ('done', 'failed', 'cancelled'));
        DELETE FROM publication WHERE job IN (SELECT id FROM job WHERE stage NOT IN ('done', 'failed', 'cancelled'));
        DELETE FROM stage WHERE job IN (SELECT id FROM job WHERE stage NOT IN ('done', 'failed', 'cancelled'));
        DELETE FROM file WHERE job IN (SELECT id FROM job WHERE stage NOT IN ('done', 'failed', 'cancelled'));
        UPDATE job SET stage = 'queued', notes = '[]', branches = NULL, manifest = NULL, bundle = NULL, test = NULL
          WHERE stage NOT IN ('done', 'failed', 'cancelled');
        """
}
