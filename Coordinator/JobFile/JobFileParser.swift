import Cluster
package import ConfigurationFiles
import Yams

/// Reads a job file.
package struct JobFileParser: CheckedYAML {
    package var mistakes: [FileMistake] = []
    /// What the user should know of a file without mistakes.
    var notes: [String] = []
    /// Where relative local paths start; nil where they are not allowed.
    let baseDirectory: String?
    /// What `~` and `$HOME` stand for; nil where they are not allowed.
    let homeDirectory: String?

    /// - Throws: every mistake with its line.
    package static func parse(
        _ text: String, baseDirectory: String?, homeDirectory: String? = nil
    ) throws(FileMistakes) -> ParsedJobFile {
        var parser = JobFileParser(baseDirectory: baseDirectory, homeDirectory: homeDirectory)
        let job = try parser.whole(text, "job file") { $0.job($1) }
        return ParsedJobFile(job: job, notes: parser.notes)
    }
}
