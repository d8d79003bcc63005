package import Cluster

/// What a job file without mistakes asks for.
package struct ParsedJobFile: Sendable, Equatable {
    package var job: JobDescription
    /// What the user should know: keys that have no effect any more.
    package var notes: [String]
}
