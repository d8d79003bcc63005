import Cluster
import Foundation
import Ledger
import Scheduling

extension Coordinator {
    func advanceIfComplete() throws {
        guard let job = active, job.stage.hasTasks, job.leases.openCount == 0 else { return }
        try enter(job.stage.next(for: job.description))
    }

    /// Enters a stage: its tasks and the stage's name reach the ledger together.
    func enter(_ stage: JobStage) throws {
        guard let job = active else { return }
        let time = Date().timeIntervalSince1970
        switch stage {
        case .list:
            let tasks = job.description.datasets.enumerated().flatMap { index, dataset in
                dataset.files.map { Ledger.TaskRecord(dataset: index, file: nil, body: .list(pattern: $0)) }
            }
            try ledger.enter(job.id, .list, tasks, at: time)
        case .survey:
            let files = try ledger.files(job.id)
            try ledger.enter(job.id, .survey, files.map {
                Ledger.TaskRecord(dataset: $0.dataset, file: $0.id, body: .survey($0.replicas, tree: job.description.datasets[$0.dataset].tree, verify: job.description.verify != nil))
            }, at: time)
        case .specs:
            guard let tasks = try planChunks() else { return }
            try ledger.enter(job.id, .specs, tasks, at: time)
        case .train: try planTraining()
        case .publish: try ledger.setStage(job.id, .publish, at: time)
        case .done: return try finish(.done)
        default: try ledger.setStage(job.id, stage, at: time)
        }
        guard active?.id == job.id else { return }
        active!.stage = stage
        active!.stageStarted = Self.now()
        log.info("job \(job.id): stage \(stage.rawValue)")
        if stage.hasTasks {
            try loadTasks()
            try lend()
            try advanceIfComplete()
        }
        if stage == .train { try startTraining() }
    }

    private func planChunks() throws -> [Ledger.TaskRecord]? {
        guard let job = active else { return nil }
        let files = try ledger.files(job.id).filter { $0.skipped == nil }
        var seen: [String: String] = [:]
        for file in files {
            let key = file.survey!.identity + "|" + job.description.datasets[file.dataset].tree
            if let other = seen.updateValue(file.url, forKey: key) {
                try finish(.failed, error: "the same input stands twice: \(other) and \(file.url) have one identity; name it once")
                return nil
            }
        }
        let resolution: BranchResolution
        do throws(BranchResolution.Mistakes) {
            resolution = try BranchResolution(job.description, files: files.map { ($0.url, $0.survey!) })
        } catch {
            try finish(.failed, error: error.sentences.joined(separator: "; "))
            return nil
        }
        try addNotes(resolution.leftOut.map { "left out: \($0)" })
        try ledger.setBranches(job.id, resolution.branches)
        return files.flatMap { file in
            ChunkPlanner.chunks(
                file.survey!.boundaries, clusters: file.survey!.clusters, events: job.description.chunkEvents,
                blocks: max(1, (32 << 20) / (24 + 168 * resolution.branches.count))
            ).map { boundaries in
                Ledger.TaskRecord(
                    dataset: file.dataset, file: file.id,
                    body: .chunk(ChunkTask(
                        InputTree(
                            file.surveyed, tree: job.description.datasets[file.dataset].tree, identity: file.survey!.identity,
                            verify: job.description.verify != nil),
                        boundaries: boundaries, branches: resolution.branches, split: job.description.split)))
            }
        }
    }

    // MARK: Status

    package func statuses() throws -> [JobStatus] { try ledger.jobs().map(status) }

    package func status(_ id: Int64) throws -> JobStatus? { try ledger.job(id).map(status) }

    private func status(_ record: Ledger.JobRecord) throws -> JobStatus {
        var status = JobStatus(id: record.id, name: record.description.name, stage: record.stage.rawValue)
        status.error = record.error
        status.notes = record.notes
        status.workers = workers.count
        (status.files, status.entries) = try ledger.totals(record.id)
        status.epochs = record.description.train?.epochs ?? 0
        status.metrics = try ledger.epochs(record.id)
        status.epoch = status.metrics.last?.epoch ?? 0
        status.test = record.test
        status.published = try ledger.publications(record.id).filter(\.acknowledged).map(\.node)
        let stages = try ledger.stages(record.id)
        status.stages = stages.enumerated().map { index, entry in
            let end = index + 1 < stages.count ? stages[index + 1].started : entry.stage.isFinal ? entry.started : Date().timeIntervalSince1970
            return .init(stage: entry.stage.rawValue, seconds: max(0, end - entry.started))
        }
        if record.stage == .queued { status.waiting = "another job to end" }
        if let job = active, job.id == record.id { describe(job, &status) }
        return status
    }

    private func describe(_ job: ActiveJob, _ status: inout JobStatus) {
        let elapsed = max(0.001, Self.now() - job.stageStarted)
        if job.stage.hasTasks {
            status.tasksAll = job.tasksAll
            status.tasksDone = job.tasksAll - job.leases.openCount
            status.sites = job.traffic.sorted { $0.key < $1.key }.map { site, traffic in
                JobStatus.Site(
                    site: site, events: traffic.events, bytes: traffic.bytes, eventsPerSecond: Double(traffic.events) / elapsed,
                    megabytesPerSecond: Double(traffic.bytes) / 1e6 / elapsed)
            }
            status.eventsPerSecond = status.sites.reduce(0) { $0 + $1.eventsPerSecond }
            status.megabytesPerSecond = status.sites.reduce(0) { $0 + $1.megabytesPerSecond }
            if status.tasksDone > 0 { status.etaSeconds = elapsed / Double(status.tasksDone) * Double(job.leases.openCount) }
            if workers.isEmpty {
                status.waiting = "a worker to join"
            } else if let blocked = job.leases.openTasks.compactMap({ job.tasks[$0]?.body.url }).first(where: { url in
                !workers.values.contains { Self.canRead(url, roots: $0.localRoots) }
            }) {
                status.waiting = "a worker that may read \(blocked) (started with --local-files)"
            } else { status.waiting = siteTrouble(job) }
        }
        status.waiting = tokenTrouble ?? status.waiting
        status.round = job.rounds.round
        if job.stage == .publish { status.waiting = job.publishWaits }
        if let progress = job.progress {
            (status.step, status.epoch, status.steps) = (progress.step, max(status.epoch, progress.epoch), progress.steps)
            status.eventsPerSecond = progress.rate
            status.loss = progress.loss
            let all = Double(progress.steps) * Double(status.epochs)
            let batch = Double(job.description.train?.batch ?? 1)
            if progress.rate > 0 { status.etaSeconds = max(0, all - Double(progress.step)) * batch / progress.rate }
        }
        status.notes += credentialNotes(etaSeconds: status.etaSeconds)
        if job.stage == .train || job.stage == .evaluate, trainers().isEmpty { status.waiting = "a worker that may read all the job's files" }
    }

    /// Tokens that are no good, or end before the job is likely to.
    private func credentialNotes(etaSeconds: Double?) -> [String] {
        let now = Date().timeIntervalSince1970
        return sites.statuses(now: Self.now()).flatMap { site in
            var notes = site.warnings.map { "credentials for \(site.site): \($0)" }
            if let expires = site.tokenExpires, let etaSeconds, expires < now + etaSeconds {
                notes.append("a bearer token for \(site.site) ends in \(Int(max(0, expires - now))) s; the job needs about \(Int(etaSeconds)) s more")
            }
            return notes
        }
    }

    /// What a job waits for at its sites: one that is excluded, or one that has not answered for long.
    private func siteTrouble(_ job: ActiveJob) -> String? {
        let statuses = sites.statuses(now: Self.now())
        let queued = Set(job.leases.waitingSites.flatMap(Self.siteNames))
        for status in statuses where status.excludedFor != nil && queued.contains(status.site) {
            return "the site \(status.site), excluded for another \(Int(status.excludedFor ?? 0) + 1) s: \(status.lastFault ?? "errors")"
        }
        guard let slow = statuses.max(by: { $0.longestWait < $1.longestWait }), slow.longestWait > 5 else { return nil }
        return "the site \(slow.site): a read has been under way for \(Int(slow.longestWait)) s"
    }
}
