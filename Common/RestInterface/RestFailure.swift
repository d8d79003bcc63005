/// Why a request was not served: the body of every answer whose status is 400 or more.
package struct RestFailure: Codable, Error, Sendable, Equatable {
    /// One mistake in a job file.
    package struct Mistake: Codable, Sendable, Equatable {
        /// The line in the job file, from 1.
        package var line: Int
        package var text: String

        package init(line: Int, text: String) {
            self.line = line
            self.text = text
        }
    }

    /// One sentence for people.
    package var error: String
    /// All mistakes of a job file that was submitted; nil for other failures.
    package var mistakes: [Mistake]?

    package init(error: String, mistakes: [Mistake]? = nil) {
        self.error = error
        self.mistakes = mistakes
    }
}
