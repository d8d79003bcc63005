/// Why a member cannot go on with a round.
package struct MemberFailure: Equatable, Sendable {
    /// What failed, which decides whether another round can succeed.
    package enum Cause: Equatable, Sendable {
        /// The training itself failed: it diverged, or two members' states differ.
        case training
        /// The job asks for something that no worker can do.
        case job
        /// A site, another member or the coordinator was out of reach, or something else failed that may succeed next
        /// time.
        case transient
    }

    /// One sentence for people.
    package var reason: String
    package var cause: Cause
    /// Index of the plan's input that could not be read; nil where the failure is of no input.
    package var input: Int?

    /// - Parameter input: index of the plan's input that could not be read.
    package init(_ reason: String, cause: Cause, input: Int? = nil) {
        self.reason = reason
        self.cause = cause
        self.input = input
    }

    /// Whether another round would end in the same way, so that the job has failed.
    package var isFatal: Bool {
        switch cause {
        case .training, .job: true
        case .transient: false
        }
    }
}
