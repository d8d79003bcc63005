package import Cluster

/// The routes of the coordinator's REST interface, as paths below the server's address. The server mounts them and
/// clients call them.
///
/// The version of all documents of this interface is the `v1` in their path. A document gains keys only: a reader
/// ignores keys that it does not know and takes defaults for those that are missing, so that clients and servers of
/// neighbouring releases understand each other.
package enum RestPath {
    /// What all paths begin with.
    package static let root = "/api/v1"
    /// All jobs; a POST submits one.
    package static let jobs = root + "/jobs"
    /// The joined workers.
    package static let workers = root + "/workers"
    /// The storage sites that workers have used.
    package static let sites = root + "/sites"

    /// One job's status. DELETE is the older spelling of `cancel`.
    package static func job(_ id: JobID) -> String { "\(jobs)/\(id)" }

    /// What changes a job that was submitted; a POST.
    /// - Parameter withoutUnreadable: for `retry`: leaves out the files that made the job fail.
    package static func command(_ command: JobCommand, job: JobID, withoutUnreadable: Bool = false) -> String {
        "\(self.job(job))/\(command.rawValue)" + (withoutUnreadable ? "?\(RestQuery.withoutUnreadable)=true" : "")
    }

    /// The finished model, a tar archive.
    package static func bundle(job: JobID) -> String { "\(self.job(job))/bundle" }
    /// What of the training depends on where it ran: a `RunRecord`.
    package static func run(job: JobID) -> String { "\(self.job(job))/run" }

    /// What a job trains on, as it is stored: the document of a `DataPlan`.
    package static func plan(job: JobID) -> String { "\(self.job(job))/plan" }

    /// The statistics of a job's branches: a `SpecsDocument`, or an `MLaaS4HEPSpecs`.
    package static func specs(job: JobID, format: SpecsFormat? = nil) -> String {
        "\(self.job(job))/specs" + (format.map { "?\(RestQuery.format)=\($0.rawValue)" } ?? "")
    }

    /// What happened to a job, a chunk or a worker: a list of `StoryLine`s.
    package static func story(_ subject: String, _ id: Int64) -> String { "\(root)/stories/\(subject)/\(id)" }

    /// Drains a worker; a POST.
    package static func drain(worker: WorkerID) -> String { "\(workers)/\(worker)/drain" }
}

/// The names of query parameters.
package enum RestQuery {
    package static let withoutUnreadable = "withoutUnreadable"
    package static let format = "format"
}

/// What changes a job that was submitted.
package enum JobCommand: String, Codable, Sendable, CaseIterable { case pause, resume, cancel, retry }

/// A layout of a job's specs other than `SpecsDocument`.
package enum SpecsFormat: String, Codable, Sendable, CaseIterable { case mlaas4hep }
