import Bytes
import Cluster
import Foundation
import Ledger
import RestInterface
import Scheduling
import Synchronization

/// The reads themselves; they block.
struct QueryReader: Sendable {
    /// What is kept between requests.
    private final class Kept: Sendable {
        struct State {
            /// Statuses of jobs at their end, with the time of that end: they change only by a retry, which makes
            /// another end.
            var finished: [JobID: (at: Double?, status: JobStatus)] = [:]
            /// For each job that is not: its files and entries in a stage, and until when they are taken as they are.
            var totals: [JobID: (stage: JobStage, files: Int, entries: Int64, until: Double)] = [:]
        }
        let state = Mutex(State())
        static let maxJobs = 10_000
    }

    let ledger: Ledger
    let blobs: BlobStore
    let snapshots: SnapshotBoard
    let version: String
    private let kept = Kept()

    init(ledger: Ledger, blobs: BlobStore, snapshots: SnapshotBoard, version: String) {
        self.ledger = ledger
        self.blobs = blobs
        self.snapshots = snapshots
        self.version = version
    }

    func forget(_ job: JobID) {
        kept.state.withLock { $0.totals[job] = nil }
    }

    func stage(_ id: JobID) throws -> JobStage? { try ledger.job(id)?.stage }

    // MARK: Status

    /// All jobs, in the order of their submission, without the reports of their evaluation. Those at their end are
    /// decoded once.
    func statuses() throws -> [JobStatus] {
        try ledger.jobStages().compactMap { id, stage, finished in
            guard stage.isFinal, let known = kept.state.withLock({ $0.finished[id] }), known.at == finished else {
                return try summary(id)
            }
            var status = known.status
            status.workers = snapshots.current.workers.count
            return status
        }
    }

    /// - Returns: nil where there is no such job.
    func status(_ id: JobID) throws -> JobStatus? {
        guard var status = try summary(id) else { return nil }
        do { status.evaluation = try ledger.evaluation(id) } catch let error as InputError where error.code == .corrupt
        {
            status.notes.append("the report of its evaluation is damaged: \(error)")
        }
        return status
    }

    /// A status without the report of the evaluation, which is large.
    private func summary(_ id: JobID) throws -> JobStatus? {
        do { return try readable(id) } catch let error as InputError where error.code == .corrupt {
            // One damaged job does not hide the others.
            var status = JobStatus(id: id, name: try ledger.name(id), stage: .failed)
            status.error = "its record is damaged, and nothing of it was changed: \(error)"
            return status
        }
    }

    /// - Throws: `InputError` where a document of the job is damaged.
    private func readable(_ id: JobID) throws -> JobStatus? {
        guard let record = try ledger.job(id) else { return nil }
        let status = JobStatusReport(
            facts: try facts(record), snapshot: snapshots.current, now: Date().timeIntervalSince1970
        ).status()
        if record.stage.isFinal {
            kept.state.withLock { state in
                if state.finished.count >= Kept.maxJobs { state.finished = [:] }
                state.finished[id] = (record.finished, status)
                state.totals[id] = nil
            }
        }
        return status
    }

    private func facts(_ record: Ledger.JobRecord) throws -> JobStatusReport.Facts {
        var facts = JobStatusReport.Facts(record: record)
        (facts.files, facts.entries) = try totals(record)
        facts.epochs = try ledger.epochs(record.id)
        facts.notes = try ledger.notes(record)
        facts.publishedTo = try ledger.publications(record.id).filter(\.acknowledged).map(\.node)
        facts.stages = try ledger.stages(record.id)
        return facts
    }

    /// A job's files and entries. They are counted by visiting each file, so what was counted holds for twenty times as
    /// long as that took, and within one stage.
    private func totals(_ record: Ledger.JobRecord) throws -> (files: Int, entries: Int64) {
        let started = Coordinator.now()
        if let known = kept.state.withLock({ $0.totals[record.id] }), known.stage == record.stage,
            started < known.until
        {
            return (known.files, known.entries)
        }
        let (files, entries) = try ledger.totals(record.id)
        let ended = Coordinator.now()
        kept.state.withLock { state in
            if state.totals.count >= Kept.maxJobs { state.totals = [:] }
            state.totals[record.id] = (record.stage, files, entries, ended + 20 * (ended - started))
        }
        return (files, entries)
    }

    var workers: [WorkerStatus] { snapshots.current.workers }
    var sites: [SiteStatus] { snapshots.current.sites }

    // MARK: What a job leaves

    /// The finished model; nil where there is none.
    func bundle(_ id: JobID) throws -> [UInt8]? {
        guard let digest = try ledger.job(id)?.bundle else { return nil }
        return try blobs.get(digest)
    }

    /// Nil where the job has no finished model.
    func runRecord(_ id: JobID) throws -> RunRecord? {
        guard let job = try ledger.job(id), let bundle = job.bundle else { return nil }
        return RunRecord(
            job: id, name: job.description.name, version: version, bundle: bundle, submitted: job.submitted,
            finished: job.finished, members: try ledger.members(id))
    }

    /// The document of the job's data plan, as it is stored.
    /// - Returns: nil where there is no such job.
    /// - Throws: `InputError` with the reason where the job has no data plan.
    func dataPlan(_ id: JobID) throws -> Data? {
        guard let job = try ledger.job(id) else { return nil }
        guard job.description.train != nil else {
            throw InputError(
                .input, "job \(id) has no data plan: it does not train",
                hint: "A job whose file has the key train makes one.")
        }
        guard let document = try StoredPlans.dataPlanDocument(of: job, in: blobs) else {
            throw InputError(
                .input, "job \(id) has no data plan yet", expected: "a job that has reached the stage train",
                found: "stage \(job.stage.rawValue)")
        }
        return document
    }

    func story(_ subject: StorySubject) throws -> [StoryLine]? { try ledger.story(subject) }

    /// The specs of the files that are counted, as JSON.
    /// - Throws: where there are none.
    func specs(_ id: JobID, format: SpecsFormat?) throws -> Data {
        guard let job = try ledger.job(id) else { throw InputError(.missing, "no job \(id)") }
        let merged = try MergedSpecs(ledger, job: job)
        guard !merged.fileEntries.isEmpty else {
            throw InputError(.input, "job \(id) has no specs yet", found: "stage \(job.stage.rawValue)")
        }
        let kinds = try ledger.surveyedBranches(id)
        switch format {
        case .mlaas4hep?: return try RestJSON.encode(merged.mlaas4hep(kinds: kinds), isPretty: true)
        case nil: return try RestJSON.encode(merged.document(job, kinds: kinds), isPretty: true)
        }
    }
}
