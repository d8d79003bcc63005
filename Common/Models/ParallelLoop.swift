/// Has several threads work on shares of one thing.
package struct ParallelLoop {
    /// How many shares there are, at least 1.
    package let count: Int
    private let runner: (@escaping @Sendable (Int) -> Void) -> Void

    /// - Parameters:
    ///   - count: how many shares there are, at least 1.
    ///   - runner: calls its argument with 0..<count, several at once or not, and returns when all calls have ended.
    package init(count: Int, _ runner: @escaping (@escaping @Sendable (Int) -> Void) -> Void) {
        self.count = max(1, count)
        self.runner = runner
    }

    /// One share, on the calling thread.
    package static var serial: ParallelLoop { ParallelLoop(count: 1) { $0(0) } }

    /// Calls `body` for consecutive shares of the range, which together are all of it, and returns when all calls have
    /// ended.
    ///
    /// - Parameter body: called with the number of the share, from 0, and its part of the range, perhaps empty.
    package func run(_ range: Range<Int>, _ body: @escaping @Sendable (Int, Range<Int>) -> Void) {
        let count = count
        @Sendable func bound(_ share: Int) -> Int { range.lowerBound + range.count * share / count }
        guard count > 1 else { return body(0, range) }
        runner { share in body(share, bound(share)..<bound(share + 1)) }
    }
}
