package import Cluster

/// A file of a job as planning sees it.
package struct PlannedFile: Sendable, Equatable {
    package var id: FileID
    /// The index of its dataset in the job.
    package var dataset: Int
    /// Its URLs, the user's first.
    package var urls: [String]
    /// What its survey found; nil before.
    package var survey: Survey?
    /// Whether it is left out of the job.
    package var isSkipped: Bool

    package init(id: FileID, dataset: Int, urls: [String], survey: Survey?, isSkipped: Bool) {
        self.id = id
        self.dataset = dataset
        self.urls = urls
        self.survey = survey
        self.isSkipped = isSkipped
    }

    /// The URL that errors name.
    fileprivate var url: String { urls.first ?? "file \(id)" }
}

/// What planning reads of the jobs, and nothing else of a ledger.
package protocol PlanningView {
    /// What the user asked for; nil where there is no such job.
    func description(of job: JobID) throws -> JobDescription?
    /// The job's files in the canonical order: dataset, logical name, URL.
    func files(of job: JobID) throws -> [PlannedFile]
    /// The largest number of blocks of a chunk, so that the specs of this number of branches fit one message.
    func maxBlocks(branches: Int) -> Int32
}

/// Plans a job's stages from what is known of it. It decides alone: what it needs is read through the view, and what it
/// decides is a value.
package struct StagePlanner<View: PlanningView> {
    private let view: View
    /// The sites that may have a file with these URLs, the user's first.
    private let sites: ([String]) -> [String]
    /// Plans a training: it needs the specs and the stored plans, which are not of this room.
    private let training: (JobID) throws -> StagePlan

    package init(
        _ view: View, sites: @escaping ([String]) -> [String], training: @escaping (JobID) throws -> StagePlan
    ) {
        self.view = view
        self.sites = sites
        self.training = training
    }

    /// What a stage needs before it can begin.
    ///
    /// - Throws: `PlanFailure` where the job cannot go on, and what the view throws.
    package func plan(_ id: JobID, _ stage: JobStage) throws -> StagePlan {
        guard let job = try view.description(of: id) else { throw PlanFailure("the ledger has no job \(id)") }
        var plan = StagePlan()
        switch stage {
        case .list: plan.units = job.patterns.enumerated().map { unit(.pattern($0), [$1.pattern]) }
        case .survey:
            let files = try view.files(of: id)
            guard files.count <= ListingLimits.jobFiles else {
                throw PlanFailure(
                    "the job names too many files: expected at most \(ListingLimits.jobFiles), found \(files.count)")
            }
            plan.units = files.filter { !$0.isSkipped }.map { unit(.file($0.id), $0.urls) }
        case .specs: plan = try chunks(of: id, job)
        case .train, .evaluate: plan = try training(id)
        case .publish: break
        case .queued, .done, .failed, .cancelled: throw PlanFailure("stage \(stage.rawValue) cannot be planned")
        }
        return plan
    }

    /// Fills in the sites of a restored job's units, which the ledger does not keep.
    package func complete(_ job: RestoredJob) throws -> RestoredJob {
        guard job.stage.hasTasks else { return job }
        var job = job
        let patterns = job.description.patterns
        // In the order of their numbers, for the search below.
        let files = job.stage == .list ? [] : try view.files(of: job.id).sorted { $0.id < $1.id }
        job.units = job.units.map { old in
            let urls =
                switch old.id {
                case .pattern(let index): [patterns[index].pattern]
                case .file(let id): Self.urls(of: id, in: files)
                }
            var new = unit(old.id, urls)
            (new.cuts, new.next) = (old.cuts, old.next)
            return new
        }
        return job
    }

    private static func urls(of id: FileID, in files: [PlannedFile]) -> [String] {
        var low = 0
        var high = files.count
        while low < high {
            let middle = (low + high) / 2
            if files[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low < files.count && files[low].id == id ? files[low].urls : []
    }

    private func unit(_ id: UnitID, _ urls: [String], cuts: [Int32] = [1]) -> WorkUnit {
        WorkUnit(id: id, sites: sites(urls), localPath: urls.first.flatMap(localPath(of:)), cuts: cuts)
    }

    private func chunks(of id: JobID, _ job: JobDescription) throws -> StagePlan {
        let files = try surveyed(id)
        try checkIdentities(files, job)
        let resolution: BranchResolution
        do throws(BranchResolution.Mistakes) {
            resolution = try BranchResolution(job, files: files.map { ($0.file.url, $0.survey) })
        } catch {
            throw PlanFailure(error.sentences.joined(separator: "; "))
        }
        var plan = StagePlan()
        plan.notes = resolution.leftOut.map { "left out: \($0)" }
        plan.writes = [.job(id, .branches(resolution.branches))]
        plan.maxBlocks = view.maxBlocks(branches: resolution.branches.count)
        for (file, survey) in files {
            let cuts = ChunkPlanner.cuts(
                survey.boundaries, clusters: survey.clusters, events: job.chunkEvents, blocks: Int(plan.maxBlocks))
            guard !cuts.isEmpty else { continue }
            plan.writes.append(.file(file.id, .cuts(cuts)))
            plan.units.append(unit(.file(file.id), file.urls, cuts: cuts))
        }
        return plan
    }

    private func surveyed(_ id: JobID) throws -> [(file: PlannedFile, survey: Survey)] {
        try view.files(of: id).filter { !$0.isSkipped }.map { file in
            guard let survey = file.survey else { throw PlanFailure("\(file.url) was not surveyed") }
            return (file, survey)
        }
    }

    /// No event may count twice: two files with one identity are the same input.
    private func checkIdentities(_ files: [(file: PlannedFile, survey: Survey)], _ job: JobDescription) throws {
        let keys = files.map { ($0.survey.identity + "|" + job.datasets[$0.file.dataset].tree, $0.file.url) }
        let sorted = keys.enumerated().sorted { ($0.element.0, $0.offset) < ($1.element.0, $1.offset) }
        for (one, other) in zip(sorted, sorted.dropFirst()) where one.element.0 == other.element.0 {
            throw PlanFailure(
                "one input is named twice: \(one.element.1) and \(other.element.1) have one identity; name it once")
        }
    }
}
