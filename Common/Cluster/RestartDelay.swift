/// When a process that died is started again: soon after its first death, and later each time that it dies without
/// having lived for a while.
package struct RestartDelay: Sendable, Equatable {
    /// Seconds after the first death, and at most.
    package static let first = 0.5
    package static let longest = 60.0
    /// Seconds after which a process is no longer one that dies again and again.
    package static let soundAfter = 60.0

    /// Deaths in a row.
    package private(set) var deaths = 0

    package init() {}

    /// The process died.
    /// - Parameter lived: seconds since its start.
    /// - Returns: seconds until it is started again.
    package mutating func died(lived: Double) -> Double {
        if lived >= Self.soundAfter { deaths = 0 }
        deaths += 1
        var delay = Self.first
        for _ in 1..<deaths where delay < Self.longest { delay *= 2 }
        return min(Self.longest, delay)
    }
}
