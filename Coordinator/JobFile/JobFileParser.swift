package import Cluster
package import ConfigurationFiles
import Yams

/// Reads a job file.
package struct JobFileParser: CheckedYAML {
    package var mistakes: [FileMistake] = []
    /// Where relative local paths start; nil where they are not allowed.
    let baseDirectory: String?

    /// - Throws: every mistake with its line.
    package static func parse(_ text: String, baseDirectory: String?) throws(FileMistakes) -> JobDescription {
        var parser = JobFileParser(baseDirectory: baseDirectory)
        return try parser.whole(text, "job file") { $0.job($1) }
    }
}
