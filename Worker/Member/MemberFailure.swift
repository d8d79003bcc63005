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
    /// The ranks of the members that were out of reach or silent; empty where it is nobody's fault, or nobody can be
    /// named; nil where this member itself could not do its part.
    package var lost: [Int]?

    /// - Parameters:
    ///   - input: index of the plan's input that could not be read.
    ///   - lost: ranks of the members that were out of reach; empty where nobody can be named.
    package init(_ reason: String, cause: Cause, input: Int? = nil, lost: [Int]? = nil) {
        self.reason = reason
        self.cause = cause
        self.input = input
        self.lost = lost
    }

    /// Whether another round would end in the same way, so that the job has failed.
    package var isFatal: Bool {
        switch cause {
        case .training, .job: true
        case .transient: false
        }
    }
}
