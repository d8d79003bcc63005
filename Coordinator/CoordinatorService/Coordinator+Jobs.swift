import Bytes
import Cluster
import Foundation
import Ledger
import Scheduling

/// What people ask for.
extension Coordinator {
    package func submit(_ job: JobDescription) throws -> JobID {
        if job.credentials == .forward, settings.bearerToken == nil {
            throw InputError(
                .input,
                "credentials: forward sends tokens over TLS only, and this coordinator's workers connect without",
                hint: "Start it with --tls-certificate and --tls-key, and the workers with --tls-authority.")
        }
        try checkLedger()
        let id = try ledger.addJob(job, at: Date().timeIntervalSince1970)
        log.info("job \(id) (\(job.name)) was submitted")
        if job.credentials == .forward { process([.credentials(missing: findToken().trouble)]) }
        process([.submitted(RestoredJob(id: id, description: job, stage: .queued))])
        return id
    }

    /// Nothing is taken on while it could not be remembered.
    private func checkLedger(_ failure: String? = nil) throws {
        if let trouble = failure ?? core.ledgerFailure {
            throw InputError(
                .denied, "the ledger cannot be written: \(trouble)",
                hint: "Make room in the state directory, or make it writable; the coordinator goes on by itself.")
        }
    }

    /// What `beamline pause` and the like ask for.
    package enum Command: String, CaseIterable, Sendable { case pause, resume, cancel, retry }

    /// - Returns: false where the job's stage does not allow it; nil where there is no such job.
    package func command(_ command: Command, job id: JobID, withoutUnreadable: Bool = false) throws -> Bool? {
        guard let job = try ledger.job(id) else { return nil }
        try checkLedger()
        guard job.stage.isFinal == (command == .retry) else { return false }
        switch command {
        case .pause: try checkLedger(process([.pause(job: id)]))
        case .resume: try checkLedger(process([.resume(job: id)]))
        case .cancel: try checkLedger(process([.cancel(job: id)]))
        case .retry: return try retry(id, withoutUnreadable: withoutUnreadable)
        }
        return true
    }

    private func retry(_ id: JobID, withoutUnreadable: Bool) throws -> Bool {
        if withoutUnreadable, try ledger.unreadable(id) == 0 {
            throw InputError(
                .input, "no file made job \(id) fail: there is nothing to leave out",
                hint: "Retry it without --without-unreadable.")
        }
        guard
            let restored = try ledger.retry(id, withoutUnreadable: withoutUnreadable, at: Date().timeIntervalSince1970)
        else { return false }
        files.forget(job: id)
        process([.submitted(try planner.complete(restored))])
        return true
    }

    /// - Returns: false where there is no such worker.
    package func drain(_ worker: WorkerID) throws -> Bool {
        guard core.scheduler.workers[worker] != nil else { return false }
        try checkLedger(process([.drain(worker: worker)]))
        return true
    }

    package func story(_ subject: StorySubject) throws -> [Ledger.StoryLine]? { try ledger.story(subject) }

    package func bundle(_ id: JobID) throws -> [UInt8]? {
        guard let digest = try ledger.job(id)?.bundle else { return nil }
        return try blobs.get(digest)
    }

    /// Nil where the job has no finished model.
    package func runRecord(_ id: JobID) throws -> RunRecord? {
        guard let job = try ledger.job(id), let bundle = job.bundle else { return nil }
        return RunRecord(
            job: id, name: job.description.name, version: settings.version, bundle: bundle, kernels: job.kernels ?? "",
            submitted: job.submitted, finished: job.finished,
            members: try ledger.members(id))
    }

    /// - Returns: JSON; nil where there is no such job.
    package func specs(_ id: JobID, format: String?) throws -> Data? {
        guard let job = try ledger.job(id) else { return nil }
        let merged = try MergedSpecs(ledger, job: job)
        guard !merged.fileEntries.isEmpty else {
            throw InputError(.input, "job \(id) has no specs yet", found: "stage \(job.stage.rawValue)")
        }
        let kinds = try ledger.surveyedBranches(id)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        if format == "mlaas4hep" { return try encoder.encode(merged.mlaas4hep(kinds: kinds)) }
        return try encoder.encode(merged.document(job, kinds: kinds))
    }
}
