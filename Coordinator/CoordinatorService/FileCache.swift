import Bytes
import Cluster
import Foundation
import Ledger
import Scheduling
import Wire

/// What the newest tasks' files and jobs look like on the wire: a file's tasks are lent one after another.
struct FileCache {
    struct Entry {
        let url: String
        /// The site of its first place.
        let site: String
        let boundaries: [Int64]
        /// Its InputTree in JSON.
        let input: Data

        /// Of the loan's blocks, by entries.
        func boundaries(_ loan: Loan) -> ArraySlice<Int64> {
            boundaries.indices.contains(Int(loan.end)) && loan.first < loan.end
                ? boundaries[Int(loan.first)...Int(loan.end)] : boundaries[0..<1]
        }
    }

    private let ledger: Ledger
    private let catalog: SiteCatalog
    private var files = BoundedCache<Int64, Entry>(limit: 4096)
    private var descriptions = BoundedCache<Int64, JobDescription>(limit: 64)
    private var plans = BoundedCache<Int64, (coded: Data, branches: Int)>(limit: 64)

    init(_ ledger: Ledger, _ catalog: SiteCatalog) {
        self.ledger = ledger
        self.catalog = catalog
    }

    mutating func file(_ id: Int64) throws -> Entry? {
        if let known = files.value(for: id) { return known }
        guard let record = try ledger.file(id), let survey = record.survey, let job = try description(record.job) else {
            return nil
        }
        let input = InputTree(
            record.surveyed, tree: job.datasets[record.dataset].tree, identity: survey.identity,
            verify: job.verify != nil)
        let entry = Entry(
            url: record.url, site: catalog.siteName(record.url), boundaries: survey.boundaries,
            input: try WireCoding.body(input))
        files.insert(entry, for: id)
        return entry
    }

    private mutating func description(_ job: Int64) throws -> JobDescription? {
        if let known = descriptions.value(for: job) { return known }
        guard let description = try ledger.job(job)?.description else { return nil }
        descriptions.insert(description, for: job)
        return description
    }

    /// A job's ChunkPlan in JSON, and its number of branches.
    mutating func plan(_ job: Int64) throws -> (coded: Data, branches: Int) {
        if let known = plans.value(for: job) { return known }
        guard let record = try ledger.job(job), let branches = record.branches else {
            throw InputError(.missing, "the job's branches are not in the ledger", object: "job \(job)")
        }
        let plan = (try WireCoding.body(ChunkPlan(branches: branches, split: record.description.split)), branches.count)
        plans.insert(plan, for: job)
        return plan
    }

    /// A retried job's plan may be another.
    mutating func forget(job: Int64) { plans.remove(job) }

    /// A loan as it travels.
    mutating func grant(_ loan: Loan, _ job: JobMachine?) throws -> Beamline_Grants {
        guard let job else { throw InputError(.missing, "the job has ended") }
        let description = job.description
        switch job.stage {
        case .list:
            return WireCoding.grant(
                loan.lease, task: try WireCoding.body(TaskBody.list(pattern: job.patterns[Int(loan.unit)].pattern)))
        case .survey:
            guard let file = try ledger.file(loan.unit) else {
                throw InputError(.missing, "the file is not in the ledger")
            }
            let body = TaskBody.survey(
                file.replicas, tree: description.datasets[file.dataset].tree, verify: description.verify != nil)
            return WireCoding.grant(loan.lease, task: try WireCoding.body(body))
        default:
            guard let file = try file(loan.unit) else { throw InputError(.missing, "the file is not in the ledger") }
            return WireCoding.grant(
                loan.lease, input: file.input, plan: try plan(loan.job).coded, boundaries: file.boundaries(loan))
        }
    }
}
