import Cluster

/// Keeps the training rounds: any join, leave or failure ends a round, and the next starts when the membership has settled.
package struct RoundKeeper: Sendable {
    package enum State: Equatable, Sendable {
        case idle
        /// Waiting for the membership to settle.
        case settling(until: Double)
        case running(members: [Int64])
    }

    package enum Action: Equatable, Sendable {
        case start(round: Int64, members: [Int64])
        case stop(round: Int64, members: [Int64])
        case giveUp(reason: String)
    }

    package private(set) var state = State.idle
    package private(set) var round: Int64
    private var roundsWithoutProgress = 0
    private var lastFailure = ""

    /// Seconds without a change before a round starts.
    private static let settle = 1.0
    /// Rounds in a row that end before any checkpoint.
    private static let patience = 30

    package init(lastRound: Int64 = 0) { round = lastRound }

    /// Training begins, or goes on after a restart.
    package mutating func begin(now: Double) { if state == .idle { state = .settling(until: now + Self.settle) } }

    package mutating func end() -> Action? {
        defer { state = .idle }
        if case .running(let members) = state { return .stop(round: round, members: members) }
        return nil
    }

    /// Somebody came or left, or, with `failure`, a member could not go on. Only failures are counted: growth is none.
    package mutating func membershipChanged(now: Double, failure reason: String? = nil) -> Action? {
        guard state != .idle else { return nil }
        let before = state
        state = .settling(until: now + Self.settle)
        guard case .running(let members) = before else { return nil }
        if let reason {
            lastFailure = reason
            roundsWithoutProgress += 1
        }
        return .stop(round: round, members: members)
    }

    package mutating func progressed() { roundsWithoutProgress = 0 }

    /// - Parameter available: the workers that can read all the job's files, in their order of joining.
    package mutating func tick(now: Double, available: [Int64], lanes: Int) -> Action? {
        guard case .settling(let until) = state, now >= until, !available.isEmpty else { return nil }
        guard roundsWithoutProgress < Self.patience else {
            state = .idle
            return .giveUp(reason: "\(Self.patience) training rounds in a row ended before a checkpoint; the last: \(lastFailure)")
        }
        round += 1
        let members = Array(available.prefix(lanes))
        state = .running(members: members)
        return .start(round: round, members: members)
    }
}
