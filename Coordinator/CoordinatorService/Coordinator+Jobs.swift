import Bytes
package import Cluster
import Foundation
import Ledger
import Logging
import Models
import OrderedCollections
package import RestInterface
import Scheduling

/// What people command.
extension Coordinator {
    /// Takes a job on.
    /// - Parameter notes: what the user should know of it from the beginning.
    /// - Returns: the job's number.
    /// - Throws: `InputError` where the job cannot be served, or the ledger cannot be written.
    package func submit(_ job: JobDescription, notes: [String] = []) throws -> JobID {
        if job.credentials == .forward, settings.bearerToken == nil {
            throw InputError(
                .input,
                "credentials: forward sends tokens over TLS only, and this coordinator's workers connect without",
                hint: "Start it with --tls-certificate and --tls-key, and the workers with --tls-authority.")
        }
        if let training = job.train { try Self.checkMemory(training) }
        try checkLedger()
        let id = try ledger.addJob(job, notes: notes, at: Date().timeIntervalSince1970)
        log.info("job \(id) (\(job.name)) was submitted")
        if job.credentials == .forward { process([.credentials(missing: credential.look().missing)]) }
        process([.submitted(RestoredJob(id: id, description: job, stage: .queued))], isCommand: true)
        return id
    }

    /// A training that no worker could hold is not taken on. How many features its samples have is known only later:
    /// one is the least, and the plan is looked at once more.
    private static func checkMemory(_ training: JobDescription.Training) throws(InputError) {
        do throws(InputError) {
            let memory = try TrainingPlan(training, seed: 0).memory(inputs: 1, lanes: training.lanes)
            if let excess = memory.excess { throw excess }
        } catch {
            // Whether layers fit each other may depend on the number of features.
            guard error.code == .limit else { return }
            var mistake = error
            mistake.code = .input
            throw mistake
        }
    }

    /// Nothing is taken on while it could not be remembered.
    private func checkLedger(_ failure: String? = nil) throws(InputError) {
        if let failure = failure ?? core.ledgerFailure {
            throw InputError(
                .denied, "the ledger cannot be written: \(failure)",
                hint: ledger.isFenced
                    ? "This coordinator ends; ask the other one."
                    : "Make room in the state directory, or make it writable; the coordinator goes on by itself.")
        }
    }

    /// Pauses, resumes, cancels or retries a job.
    /// - Parameter withoutUnreadable: for `retry`: leaves out the files that made the job fail.
    /// - Returns: false where the job's stage does not allow it; nil where there is no such job.
    /// - Throws: `InputError` where the ledger cannot be written.
    package func command(_ command: JobCommand, job id: JobID, withoutUnreadable: Bool = false) throws -> Bool? {
        guard let job = try ledger.job(id) else { return nil }
        try checkLedger()
        let event: Scheduler.Event
        switch command {
        case .retry: return try retry(job, withoutUnreadable: withoutUnreadable)
        case .pause: event = .pause(job: id)
        case .resume: event = .resume(job: id)
        case .cancel: event = .cancel(job: id)
        }
        guard !job.stage.isFinal else { return false }
        try checkLedger(process([event], isCommand: true))
        return true
    }

    private func retry(_ job: Ledger.JobRecord, withoutUnreadable: Bool) throws -> Bool {
        if withoutUnreadable, job.stage.isFinal, try ledger.unreadable(job.id) == 0 {
            throw InputError(
                .input, "no file made job \(job.id) fail: there is nothing to leave out",
                hint: "Retry it without --without-unreadable.")
        }
        guard
            let restored = try ledger.retry(
                job.id, withoutUnreadable: withoutUnreadable, at: Date().timeIntervalSince1970)
        else { return false }
        files.forget(job: job.id)
        queries.forgetRetried(job.id)
        process([.submitted(try planner.complete(restored))], isCommand: true)
        return true
    }

    /// Drains a worker: it gets nothing more, and ends when it holds nothing.
    /// - Returns: false where there is no such worker.
    /// - Throws: `InputError` where the ledger cannot be written.
    package func drain(_ worker: WorkerID) throws -> Bool {
        guard core.scheduler.workers[worker] != nil else { return false }
        try checkLedger(process([.drain(worker: worker)], isCommand: true))
        return true
    }
}
