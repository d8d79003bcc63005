import Bytes
import Cluster
import Foundation
import Ledger
import Scheduling
import Wire

/// What the newest tasks' files and jobs look like on the wire: a file's tasks are assigned one after another.
struct GrantCache {
    /// A surveyed file as its grants have it.
    struct Entry {
        let url: String
        /// The site of its first URL.
        let site: String
        let boundaries: [Int64]
        /// Its InputTree in JSON.
        let input: Data

        /// The boundaries of a task's blocks, in entries.
        func boundaries(_ task: TaskExtent) -> ArraySlice<Int64> {
            boundaries.indices.contains(Int(task.end)) && task.first < task.end
                ? boundaries[Int(task.first)...Int(task.end)] : boundaries[0..<1]
        }
    }

    private let ledger: Ledger
    private let catalog: SiteCatalog
    private var files = BoundedCache<FileID, Entry>(limit: 4096)
    private var descriptions = BoundedCache<JobID, JobDescription>(limit: 64)
    private var plans = BoundedCache<JobID, (coded: Data, branches: Int)>(limit: 64)

    init(_ ledger: Ledger, _ catalog: SiteCatalog) {
        self.ledger = ledger
        self.catalog = catalog
    }

    mutating func file(_ id: FileID) throws -> Entry? {
        if let known = files.value(for: id) { return known }
        guard let record = try ledger.file(id), let survey = record.survey, let job = try description(record.job) else {
            return nil
        }
        let input = InputTree(
            record.surveyed, tree: job.datasets[record.dataset].tree, identity: survey.identity,
            verify: job.verify != nil, version: survey.version)
        let entry = Entry(
            url: record.url, site: catalog.siteName(record.url), boundaries: survey.boundaries,
            input: try WireCoding.body(input))
        files.insert(entry, for: id)
        return entry
    }

    private mutating func description(_ job: JobID) throws -> JobDescription? {
        if let known = descriptions.value(for: job) { return known }
        guard let description = try ledger.job(job)?.description else { return nil }
        descriptions.insert(description, for: job)
        return description
    }

    /// A job's ChunkPlan in JSON, and its number of branches.
    mutating func plan(_ job: JobID) throws -> (coded: Data, branches: Int) {
        if let known = plans.value(for: job) { return known }
        guard let record = try ledger.job(job), let branches = record.branches else {
            throw InputError(.missing, "the job's branches are not in the ledger", object: "job \(job)")
        }
        let plan = (try WireCoding.body(ChunkPlan(branches: branches, split: record.description.split)), branches.count)
        plans.insert(plan, for: job)
        return plan
    }

    /// A retried job's plan may be another.
    mutating func forget(job: JobID) { plans.remove(job) }

    /// An assignment as it is sent.
    mutating func grant(_ assignment: Assignment, _ job: JobMachine?) throws -> Beamline_Grants {
        guard let job else { throw InputError(.missing, "the job has ended", object: "job \(assignment.job)") }
        let description = job.description
        switch (job.stage, assignment.unit) {
        case (.list, .pattern(let index)):
            return WireCoding.grant(
                assignment.lease, task: try WireCoding.body(TaskBody.list(pattern: job.patterns[index].pattern)))
        case (.survey, .file(let id)):
            guard let file = try ledger.file(id) else { throw Self.missing(id) }
            let body = TaskBody.survey(
                file.replicas, tree: description.datasets[file.dataset].tree, verify: description.verify != nil)
            return WireCoding.grant(assignment.lease, task: try WireCoding.body(body))
        case (.specs, .file(let id)):
            guard let file = try file(id) else { throw Self.missing(id) }
            return WireCoding.grant(
                assignment.lease, input: file.input, plan: try plan(job.id).coded,
                boundaries: file.boundaries(assignment.extent))
        case (.list, .file), (.survey, .pattern), (.specs, .pattern),
            (.queued, _), (.train, _), (.evaluate, _), (.publish, _), (.done, _), (.failed, _), (.cancelled, _):
            throw InputError(
                .missing, "the job's stage has no such task", object: "job \(job.id), task \(assignment.lease.task)",
                found: "stage \(job.stage.rawValue)")
        }
    }

    private static func missing(_ file: FileID) -> InputError {
        InputError(.missing, "the file is not in the ledger", object: "file \(file)")
    }
}
