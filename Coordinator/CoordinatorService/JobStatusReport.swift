import Cluster
import Foundation
import Ledger
import Scheduling

/// Makes a job's status of what the ledger has and what the scheduler knew last. Pure.
struct JobStatusReport {
    /// What the ledger has of a job.
    struct Facts: Sendable {
        var record: Ledger.JobRecord
        /// The job's files, and the entries of those that are not left out.
        var files = 0
        var entries: Int64 = 0
        var epochs: [EpochMetrics] = []
        /// Inference nodes that have acknowledged the model.
        var publishedTo: [String] = []
        /// What the user should know.
        var notes: [String] = []
        /// When each stage began, in their order; seconds since 1970.
        var stages: [(stage: JobStage, started: Double)] = []
    }

    let facts: Facts
    let snapshot: ClusterSnapshot
    /// Seconds since 1970.
    let now: Double

    /// The scheduler's view; nil for a job at its end, and while the snapshot is older than the ledger's stage.
    private var live: ClusterSnapshot.Job? {
        snapshot.jobs[facts.record.id].flatMap { job in
            job.machine.stage == facts.record.stage || facts.record.stage == .queued ? job : nil
        }
    }

    func status() -> JobStatus {
        let record = facts.record
        var status = JobStatus(id: record.id, name: record.description.name, stage: record.stage)
        status.error = record.error
        status.notes = facts.notes
        status.paused = record.paused
        status.workers = snapshot.workers.count
        (status.files, status.entries) = (facts.files, facts.entries)
        status.epochs = record.description.train?.epochs ?? 0
        status.metrics = facts.epochs
        status.epoch = status.metrics.last?.epoch ?? 0
        status.test = record.test
        status.published = facts.publishedTo
        status.stages = facts.stages.enumerated().map { index, entry in
            let isLast = index + 1 == facts.stages.count
            let end = !isLast ? facts.stages[index + 1].started : entry.stage.isFinal ? entry.started : now
            return .init(stage: entry.stage, seconds: max(0, end - entry.started))
        }
        if let live { describe(live, &status) }
        if !record.stage.isFinal, let failure = snapshot.ledgerFailure {
            status.waiting = "the ledger, which cannot be written: \(failure)"
        }
        return status
    }

    private func describe(_ live: ClusterSnapshot.Job, _ status: inout JobStatus) {
        let job = live.machine
        if job.stage.hasTasks { describeTasks(live, &status) }
        if job.description.credentials != nil { status.waiting = snapshot.missingCredential ?? status.waiting }
        if let round = job.round { status.round = round }
        if job.stage == .publish { status.waiting = job.publishWaits }
        if let progress = job.progress { describe(progress, of: job, &status) }
        if let eta = status.etaSeconds, !(0...1e9).contains(eta) { status.etaSeconds = nil }
        status.notes += credentialNotes(etaSeconds: status.etaSeconds)
        if job.stage.trains, job.membership == nil {
            status.waiting =
                job.isWithoutRounds || !live.hasTrainers
                ? "a worker that may read all the job's files" : nil
        }
        if job.stage.trains {
            status.notes += snapshot.workers.compactMap { worker in
                job.leftOut(worker.id, now: snapshot.time).map { seconds, reason in
                    "\(worker.name) is left out of training rounds for \(Int(seconds) + 1) s more: \(reason)"
                }
            }
        }
        if job.paused { status.waiting = "being resumed" }
    }

    private func describe(_ progress: JobMachine.Progress, of job: JobMachine, _ status: inout JobStatus) {
        status.step = progress.step
        status.epoch = max(status.epoch, progress.epoch)
        status.steps = progress.stepsPerEpoch
        status.eventsPerSecond = progress.stepsPerSecond * Double(job.description.train?.batch ?? 1)
        status.loss = progress.loss
        let all = Double(progress.stepsPerEpoch) * Double(status.epochs)
        if progress.stepsPerSecond > 0 {
            status.etaSeconds = max(0, all - Double(progress.step)) / progress.stepsPerSecond
        }
    }

    private func describeTasks(_ live: ClusterSnapshot.Job, _ status: inout JobStatus) {
        let elapsed = max(0.001, snapshot.time - live.traffic.started)
        (status.tasksDone, status.tasksAll) = (live.tasksDone, live.tasksAll)
        status.sites = live.traffic.sites.sorted { $0.key < $1.key }.map { site, amount in
            JobStatus.Site(
                site: site, events: amount.events, bytes: amount.bytes,
                eventsPerSecond: Double(amount.events) / elapsed,
                megabytesPerSecond: Double(amount.bytes) / 1e6 / elapsed)
        }
        status.eventsPerSecond = status.sites.reduce(0) { $0 + $1.eventsPerSecond }
        status.megabytesPerSecond = status.sites.reduce(0) { $0 + $1.megabytesPerSecond }
        if status.tasksDone > 0 {
            status.etaSeconds = elapsed / Double(status.tasksDone) * Double(status.tasksAll - status.tasksDone)
        }
        if snapshot.workers.isEmpty {
            status.waiting = "a worker to join"
        } else if let path = unreadablePath(live) {
            status.waiting = "a worker that may read \(path) (started with --local-files)"
        } else {
            status.waiting = slowSite(live)
        }
    }

    /// A local file with work to do that no joined worker may read.
    private func unreadablePath(_ live: ClusterSnapshot.Job) -> String? {
        live.waitingQueues.compactMap(\.localPath).first { path in
            !snapshot.localRoots.contains { mayRead(path, below: $0) }
        }
    }

    /// Tokens that are rejected, or end before the job is likely to.
    private func credentialNotes(etaSeconds: Double?) -> [String] {
        snapshot.sites.flatMap { site in
            var notes = site.warnings.map { "credentials for \(site.site): \($0)" }
            if let expires = site.tokenExpires, let etaSeconds, expires < now + etaSeconds {
                notes.append(
                    """
                    a bearer token for \(site.site) ends in \(Int(max(0, expires - now))) s; \
                    the job needs about \(Int(etaSeconds)) s more
                    """
                )
            }
            return notes
        }
    }

    /// What a job waits for at its sites: one that is excluded, or one that has not answered for long.
    private func slowSite(_ live: ClusterSnapshot.Job) -> String? {
        let queued = Set(live.waitingQueues.flatMap(\.sites))
        for site in snapshot.sites where queued.contains(site.site) {
            guard let seconds = site.excludedFor else { continue }
            return "the site \(site.site), excluded for another \(Int(seconds) + 1) s: \(site.lastFault ?? "errors")"
        }
        guard let slow = snapshot.sites.max(by: { $0.longestWait < $1.longestWait }), slow.longestWait > 5 else {
            return nil
        }
        return "the site \(slow.site): a read has been under way for \(Int(slow.longestWait)) s"
    }
}
