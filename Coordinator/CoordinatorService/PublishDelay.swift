/// How long a publisher waits before it pushes a model again. Pure.
package struct PublishDelay: Sendable {
    /// What became of a try to push a model to all its nodes.
    package enum Outcome: Sendable {
        /// The job is paused; nothing was tried.
        case paused
        /// A node did not answer, or the coordinator itself could not do its part.
        case unreachable
        /// All nodes answered, and some have no room or are too busy for now.
        case noRoom
    }

    private var failures = 0

    /// Before the first try.
    package init() {}

    /// Seconds until the next try: 1, 2, 4, ... up to 10 where a node is not there, since trying costs nothing, and up
    /// to 60 where each try sends the whole bundle.
    package mutating func seconds(after outcome: Outcome) -> Int {
        let most: Int
        switch outcome {
        case .paused: return 1
        case .unreachable: most = 10
        case .noRoom: most = 60
        }
        failures += 1
        return min(most, 1 << min(failures - 1, 6))
    }
}
