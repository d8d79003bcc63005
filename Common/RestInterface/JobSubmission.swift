package import Cluster

/// A job file as it is submitted.
package struct JobSubmission: Codable, Sendable, Equatable {
    /// The job file's text, YAML.
    package var description: String
    /// The directory that relative paths of the job file start from; nil where it may have none.
    package var baseDirectory: String?
    /// What `~` and `$HOME` of the job file stand for, where the one who submits has such a directory.
    package var homeDirectory: String?

    package init(description: String, baseDirectory: String?) {
        self.description = description
        self.baseDirectory = baseDirectory
    }
}

/// The answer to a `JobSubmission`.
package struct SubmittedJob: Codable, Sendable, Equatable {
    /// The job's number, from 1.
    package var id: JobID

    package init(id: JobID) { self.id = id }
}
