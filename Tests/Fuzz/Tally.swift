/// What a run saw.
struct Tally: Sendable {
    struct Count: Sendable {
        var whole = 0
        var partly = 0
        var rejected = 0
        /// Seconds of the input that took longest, and its number.
        var longest = 0.0
        var longestNumber: UInt64 = 0
    }

    var counts: [String: Count] = [:]
    /// MiB that the process had at most.
    var peak = 0
    /// Inputs after which the process had grown by more than 32 MiB.
    var jumps: [String] = []

    var longest: Double { counts.values.map(\.longest).max() ?? 0 }

    mutating func add(_ outcome: Outcome, seconds: Double, number: UInt64, kind: String) {
        var count = counts[kind, default: Count()]
        switch outcome {
        case .whole: count.whole += 1
        case .partly: count.partly += 1
        case .rejected: count.rejected += 1
        }
        if seconds > count.longest { (count.longest, count.longestNumber) = (seconds, number) }
        counts[kind] = count
    }

    mutating func merge(_ other: Tally) {
        for (kind, theirs) in other.counts {
            var count = counts[kind, default: Count()]
            count.whole += theirs.whole
            count.partly += theirs.partly
            count.rejected += theirs.rejected
            if theirs.longest > count.longest {
                (count.longest, count.longestNumber) = (theirs.longest, theirs.longestNumber)
            }
            counts[kind] = count
        }
        peak = max(peak, other.peak)
        jumps += other.jumps
    }
}
