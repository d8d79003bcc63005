package import Cluster
package import Scheduling

extension Ledger: PlanningView {
    package func description(of job: JobID) throws -> JobDescription? { try self.job(job)?.description }

    /// The job's frozen list of files with their surveys, sorted by dataset, logical name and URL.
    package func files(of job: JobID) throws -> [PlannedFile] {
        try files(job).map { file in
            PlannedFile(
                id: file.id, dataset: file.dataset, urls: file.replicas.urls, survey: file.survey,
                isSkipped: file.skipped != nil)
        }
    }

    /// The most blocks in a task of a job that reads this number of branches, at least 1: its partial specs fit one
    /// message.
    package func maxBlocks(branches: Int) -> Int32 { Self.maxBlocks(branches) }
}
