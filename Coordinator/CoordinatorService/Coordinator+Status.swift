import Cluster
import Foundation
import Ledger
import Scheduling

/// What people see.
extension Coordinator {
    package func statuses() throws -> [JobStatus] { try ledger.jobs().map(status) }

    package func status(_ id: JobID) throws -> JobStatus? { try ledger.job(id).map(status) }

    package func siteStatuses() -> [SiteStatus] { core.scheduler.sites.statuses(now: Self.now()) }

    package func workerStatuses() -> [WorkerStatus] {
        core.scheduler.workers.values.map { worker in
            var status = WorkerStatus(
                id: worker.id, name: worker.request.name, state: worker.state)
            status.reason = worker.quarantined
            status.threads = worker.request.threads
            status.kernels = worker.request.kernels
            status.held = core.scheduler.leases.heldCount(worker.id)
            status.counted = worker.counted
            status.round = worker.round?.round
            status.phase = worker.round?.phase
            status.silentSeconds = Self.now() - worker.lastMessage
            return status
        }
    }

    private func status(_ record: Ledger.JobRecord) throws -> JobStatus {
        var status = JobStatus(id: record.id, name: record.description.name, stage: record.stage)
        status.error = record.error
        status.notes = record.notes
        status.paused = record.paused
        status.workers = core.scheduler.workers.count
        (status.files, status.entries) = try ledger.totals(record.id)
        status.epochs = record.description.train?.epochs ?? 0
        status.metrics = try ledger.epochs(record.id)
        status.epoch = status.metrics.last?.epoch ?? 0
        status.test = record.test
        status.published = try ledger.publications(record.id).filter(\.acknowledged).map(\.node)
        let stages = try ledger.stages(record.id)
        status.stages = stages.enumerated().map { index, entry in
            let end =
                index + 1 < stages.count
                ? stages[index + 1].started : entry.stage.isFinal ? entry.started : Date().timeIntervalSince1970
            return .init(stage: entry.stage, seconds: max(0, end - entry.started))
        }
        if let job = core.scheduler.jobs[record.id] { describe(job, &status) }
        if !record.stage.isFinal, let failure = core.ledgerFailure {
            status.waiting = "the ledger, which cannot be written: \(failure)"
        }
        return status
    }

    private func describe(_ job: JobMachine, _ status: inout JobStatus) {
        if job.stage.hasTasks { describeTasks(job, &status) }
        if job.description.credentials != nil { status.waiting = core.scheduler.missingCredential ?? status.waiting }
        if let round = job.round { status.round = round }
        if job.stage == .publish { status.waiting = job.publishWaits }
        if let progress = job.progress {
            let batch = Double(job.description.train?.batch ?? 1)
            (status.step, status.epoch, status.steps) = (
                progress.step, max(status.epoch, progress.epoch), progress.stepsPerEpoch
            )
            status.eventsPerSecond = progress.stepsPerSecond * batch
            status.loss = progress.loss
            let all = Double(progress.stepsPerEpoch) * Double(status.epochs)
            if progress.stepsPerSecond > 0 {
                status.etaSeconds = max(0, all - Double(progress.step)) / progress.stepsPerSecond
            }
        }
        if let eta = status.etaSeconds, !(0...1e9).contains(eta) { status.etaSeconds = nil }
        status.notes += credentialNotes(etaSeconds: status.etaSeconds)
        if job.stage.trains, job.membership == nil {
            status.waiting =
                job.isWithoutRounds || !core.scheduler.hasTrainers(job.id)
                ? "a worker that may read all the job's files"
                    + (job.kernels.map { " and use the kernels \($0)" } ?? "") : nil
        }
        if job.paused { status.waiting = "being resumed" }
    }

    private func describeTasks(_ job: JobMachine, _ status: inout JobStatus) {
        let traffic = stages[job.id]
        let elapsed = max(0.001, Self.now() - (traffic?.started ?? Self.now()))
        (status.tasksDone, status.tasksAll) = core.scheduler.leases.progress(job.id)
        status.sites = (traffic?.traffic ?? [:]).sorted { $0.key < $1.key }.map { site, traffic in
            JobStatus.Site(
                site: site, events: traffic.events, bytes: traffic.bytes,
                eventsPerSecond: Double(traffic.events) / elapsed,
                megabytesPerSecond: Double(traffic.bytes) / 1e6 / elapsed)
        }
        status.eventsPerSecond = status.sites.reduce(0) { $0 + $1.eventsPerSecond }
        status.megabytesPerSecond = status.sites.reduce(0) { $0 + $1.megabytesPerSecond }
        if status.tasksDone > 0 {
            status.etaSeconds = elapsed / Double(status.tasksDone) * Double(status.tasksAll - status.tasksDone)
        }
        let workers = core.scheduler.workers
        if workers.isEmpty {
            status.waiting = "a worker to join"
        } else if let blocked = core.scheduler.leases.waitingQueues(job.id).compactMap(\.localPath).first(where: {
            path in
            !workers.values.contains { mayRead(path, below: $0.request.localRoots) }
        }) {
            status.waiting = "a worker that may read \(blocked) (started with --local-files)"
        } else {
            status.waiting = siteTrouble(job)
        }
    }

    /// Tokens that are no good, or end before the job is likely to.
    private func credentialNotes(etaSeconds: Double?) -> [String] {
        let now = Date().timeIntervalSince1970
        return siteStatuses().flatMap { site in
            var notes = site.warnings.map { "credentials for \(site.site): \($0)" }
            if let expires = site.tokenExpires, let etaSeconds, expires < now + etaSeconds {
                notes.append(
                    "a bearer token for \(site.site) ends in \(Int(max(0, expires - now))) s; the job needs about \(Int(etaSeconds)) s more"
                )
            }
            return notes
        }
    }

    /// What a job waits for at its sites: one that is excluded, or one that has not answered for long.
    private func siteTrouble(_ job: JobMachine) -> String? {
        let statuses = siteStatuses()
        let queued = Set(core.scheduler.leases.waitingQueues(job.id).flatMap(\.sites))
        for status in statuses where status.excludedFor != nil && queued.contains(status.site) {
            return
                "the site \(status.site), excluded for another \(Int(status.excludedFor ?? 0) + 1) s: \(status.lastFault ?? "errors")"
        }
        guard let slow = statuses.max(by: { $0.longestWait < $1.longestWait }), slow.longestWait > 5 else { return nil }
        return "the site \(slow.site): a read has been under way for \(Int(slow.longestWait)) s"
    }
}
