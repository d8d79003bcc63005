import Cluster
import Scheduling

extension Ledger: PlanningView {
    package func description(of job: JobID) throws -> JobDescription? { try self.job(job)?.description }

    package func files(of job: JobID) throws -> [PlannedFile] {
        try files(job).map { file in
            PlannedFile(
                id: file.id, dataset: file.dataset, urls: file.replicas.urls, survey: file.survey,
                isSkipped: file.skipped != nil)
        }
    }

    package func maxBlocks(branches: Int) -> Int32 { Self.maxBlocks(branches) }
}
