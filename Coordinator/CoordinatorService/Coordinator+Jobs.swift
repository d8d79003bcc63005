import Bytes
import Cluster
import Foundation
import Ledger
import Scheduling

/// What people ask for.
extension Coordinator {
    package func submit(_ job: JobDescription) throws -> Int64 {
        if job.credentials == .forward, settings.bearerToken == nil {
            throw InputError(
                .input,
                "credentials: forward lends tokens over TLS only, and this coordinator's workers connect without",
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
        if let trouble = failure ?? core.trouble {
            throw InputError(
                .denied, "the ledger cannot be written: \(trouble)",
                hint: "Make room in the state directory, or make it writable; the coordinator goes on by itself.")
        }
    }

    /// What `beamline pause` and the like ask for.
    package enum Command: String, CaseIterable, Sendable { case pause, resume, cancel, retry }

    /// - Returns: false where the job's stage does not allow it; nil where there is no such job.
    package func command(_ command: Command, job id: Int64, withoutUnreadable: Bool = false) throws -> Bool? {
        guard let job = try ledger.job(id) else { return nil }
        try checkLedger()
        guard command != .retry else {
            if withoutUnreadable, job.stage.isFinal, try ledger.unreadable(id) == 0 {
                throw InputError(
                    .input, "no file made job \(id) fail: there is nothing to leave out",
                    hint: "Retry it without --without-unreadable.")
            }
            guard
                let restored = try ledger.retry(
                    id, withoutUnreadable: withoutUnreadable, at: Date().timeIntervalSince1970)
            else { return false }
            files.forget(job: id)
            process([.submitted(try planner.complete(restored))])
            return true
        }
        guard !job.stage.isFinal else { return false }
        switch command {
        case .pause: try checkLedger(process([.pause(job: id)]))
        case .resume: try checkLedger(process([.resume(job: id)]))
        default: try checkLedger(process([.cancel(job: id)]))
        }
        return true
    }

    /// - Returns: false where there is no such worker.
    package func drain(_ worker: Int64) throws -> Bool {
        guard core.scheduler.workers[worker] != nil else { return false }
        try checkLedger(process([.drain(worker: worker)]))
        return true
    }

    package func story(_ subject: StorySubject, _ id: Int64) throws -> [Ledger.StoryLine]? {
        try ledger.story(subject, id)
    }

    package func bundle(_ id: Int64) throws -> [UInt8]? {
        guard let digest = try ledger.job(id)?.bundle else { return nil }
        return try blobs.get(digest)
    }

    /// Nil where the job has no finished model.
    package func runRecord(_ id: Int64) throws -> RunRecord? {
        guard let job = try ledger.job(id), let bundle = job.bundle else { return nil }
        return RunRecord(
            job: id, name: job.description.name, version: settings.version, bundle: bundle, kernels: job.kernels ?? "",
            submitted: job.submitted, finished: job.finished,
            members: try ledger.members(id))
    }

    /// - Returns: JSON; nil where there is no such job.
    package func specs(_ id: Int64, format: String?) throws -> Data? {
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
