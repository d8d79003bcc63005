/// What is known of a ledger and of what lies beside it, before a coordinator goes on with it.
package struct LedgerEvidence: Sendable, Equatable {
    /// The ledger's newest life; 0 for one that no coordinator has used.
    package var life: Int64
    /// Jobs that it has.
    package var jobs: Int
    /// The newest life that a coordinator is known to have begun in this directory; nil where none has noted it.
    package var lastLife: Int64?
    /// Blobs beside it.
    package var blobs: Int

    package init(life: Int64, jobs: Int, lastLife: Int64?, blobs: Int) {
        self.life = life
        self.jobs = jobs
        self.lastLife = lastLife
        self.blobs = blobs
    }

    /// Why the ledger is not the one that belongs here: it is empty beside blobs, or older than the directory. Its
    /// write-ahead log may be lost, or another file may have replaced it. nil where nothing speaks against it.
    package var objection: String? {
        if let lastLife, life < lastLife {
            return "the ledger is of life \(life), and life \(lastLife) has run here: a part of it is lost"
        }
        guard blobs > 0 else { return nil }
        if life == 0 { return "the ledger is new, and \(blobs) blobs of another lie beside it" }
        if jobs == 0, lastLife == nil { return "the ledger has no job, and \(blobs) blobs lie beside it" }
        return nil
    }
}
