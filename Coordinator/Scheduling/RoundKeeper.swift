import Cluster

/// Keeps a job's training rounds. States, and what moves them:
///
///     idle --(begin)--> settling --(settled, workers there)--> running --(a member lost, failed or stuck; a worker to take in)--> settling
///       ^--(end)----------'--------------------(end)----------------'        settling --(too many rounds without progress)--> idle, given up
///
/// Members keep their lanes from round to round as far as the numbers allow.
package struct RoundKeeper: Sendable {
    package struct Membership: Equatable, Sendable {
        package var round: Int64
        /// By rank.
        package var members: [Int64]
        /// For each lane, the rank that owns it.
        package var owners: [Int]
    }

    package enum State: Equatable, Sendable {
        case idle
        /// Waiting for the membership to settle.
        case settling(until: Double)
        case running(Membership)
    }

    package enum Action: Equatable, Sendable {
        case start(Membership)
        case stop(round: Int64, members: [Int64])
        case giveUp(reason: String)
    }

    /// What a member is doing, as it says itself.
    package typealias Phase = RoundPhase

    package private(set) var state = State.idle
    /// The newest round.
    package private(set) var round: Int64
    package let lanes: Int
    private var roundsWithoutProgress = 0
    private var lastFailure = ""
    private var begun = 0.0
    /// The lanes' owners in the round before, by worker.
    private var owners: [Int64]
    /// Each member's phase and step, and when the slowest of them last moved.
    private var phases: [(phase: Phase, step: Int64)] = []
    private var moved = 0.0
    /// Since when a worker waits to be taken in.
    private var growing: Double?

    /// Seconds until a round starts after a member was lost: its neighbours' losses come at the same time.
    private static let settleLoss = 0.3
    private static let settleGrowth = 1.0
    /// Seconds for which a round runs at least before it is ended to take in a worker.
    private static let growthAfter = 3.0
    /// Rounds in a row that end before any progress.
    private static let patience = 30
    /// Seconds without a step, all members connecting or stepping, after which something hangs.
    package static let stall = 75.0

    package init(lanes: Int, lastRound: Int64 = 0) {
        self.lanes = lanes
        round = lastRound
        owners = .init(repeating: 0, count: lanes)
    }

    package var membership: Membership? {
        if case .running(let membership) = state { membership } else { nil }
    }

    /// Training begins, or goes on after a restart.
    package mutating func begin(now: Double) { if state == .idle { state = .settling(until: now + Self.settleLoss) } }

    package mutating func end() -> Action? {
        defer { state = .idle }
        return membership.map { .stop(round: round, members: $0.members) }
    }

    /// - Parameter available: the workers that this job may train on, in their order of preference.
    package mutating func available(_ available: [Int64], now: Double) -> Action? {
        guard let membership else { return nil }
        if membership.members.contains(where: { !available.contains($0) }) { return stop(now, Self.settleLoss) }
        let more = membership.members.count < min(lanes, available.count)
        if !more { growing = nil } else if growing == nil { growing = now }
        guard let growing, now - growing >= Self.settleGrowth, now - begun >= Self.growthAfter else { return nil }
        return stop(now, 0)
    }

    private mutating func stop(_ now: Double, _ settle: Double) -> Action? {
        guard let membership else { return nil }
        state = .settling(until: now + settle)
        growing = nil
        return .stop(round: membership.round, members: membership.members)
    }

    /// A member could not go on.
    package mutating func failed(_ reason: String, now: Double) -> Action? {
        guard membership != nil else { return nil }
        lastFailure = reason
        roundsWithoutProgress += 1
        // Again and again the same: not in a hurry.
        return stop(now, roundsWithoutProgress > 2 ? 2.0 : Self.settleLoss)
    }

    /// What a member says of itself.
    package mutating func beat(_ member: Int64, _ phase: Phase, step: Int64, now: Double) {
        guard let rank = membership?.members.firstIndex(of: member) else { return }
        let before = phases.map(\.step).min() ?? 0
        if phase != phases[rank].phase { moved = now }
        phases[rank] = (phase, max(step, phases[rank].step))
        guard let slowest = phases.map(\.step).min(), slowest > before else { return }
        moved = now
        roundsWithoutProgress = 0
    }

    package mutating func progressed() { roundsWithoutProgress = 0 }

    /// - Parameter next: the next round's number: larger than that of any round of any job.
    package mutating func tick(now: Double, available: [Int64], next: Int64) -> Action? {
        if let membership {
            let waiting = phases.allSatisfy { $0.phase == .connecting || $0.phase == .training }
            guard waiting, now - moved > Self.stall else { return nil }
            return failed("no step for \(Int(Self.stall)) s with \(membership.members.count) members", now: now)
        }
        guard case .settling(let until) = state, now >= until, !available.isEmpty else { return nil }
        guard roundsWithoutProgress < Self.patience else {
            state = .idle
            return .giveUp(
                reason: "\(Self.patience) training rounds in a row ended before any progress; the last: \(lastFailure)")
        }
        round = next
        let members = Array(available.prefix(lanes))
        let ranks = LaneAssignment.move(owners, to: members)
        owners = ranks.map { members[$0] }
        let membership = Membership(round: round, members: members, owners: ranks)
        state = .running(membership)
        phases = .init(repeating: (.loading, 0), count: members.count)
        (begun, moved, growing) = (now, now, nil)
        return .start(membership)
    }

    /// What must hold after every event; nil where it does.
    package func validate() -> String? {
        guard let membership else { return nil }
        if membership.members.isEmpty || membership.members.count > lanes {
            return "a round of \(membership.members.count) members for \(lanes) lanes"
        }
        if membership.members.indices.contains(where: { membership.members[..<$0].contains(membership.members[$0]) }) {
            return "a worker is in round \(round) twice"
        }
        let loads = membership.members.indices.map { rank in membership.owners.count { $0 == rank } }
        if membership.owners.count != lanes || loads.min()! < lanes / loads.count
            || loads.max()! > (lanes + loads.count - 1) / loads.count
        {
            return "the lanes of round \(round) are dealt \(loads)"
        }
        return nil
    }
}

/// Who owns which lane: in equal numbers, and with the fewest lanes moved.
package enum LaneAssignment {
    /// - Parameters:
    ///   - owners: each lane's owner so far; any number for none.
    ///   - members: who is there now, by rank; not more than lanes.
    /// - Returns: for each lane, its owner's rank.
    package static func move(_ owners: [Int64], to members: [Int64]) -> [Int] {
        let lanes = owners.count
        var kept = [[Int]](repeating: [], count: members.count)
        for (lane, owner) in owners.enumerated() {
            if let rank = members.firstIndex(of: owner) { kept[rank].append(lane) }
        }
        // Those that have the most keep the odd lanes.
        let order = members.indices.sorted { (-kept[$0].count, $0) < (-kept[$1].count, $1) }
        var result = [Int](repeating: -1, count: lanes)
        var room = [Int](repeating: lanes / members.count, count: members.count)
        for rank in order.prefix(lanes % members.count) { room[rank] += 1 }
        for rank in members.indices {
            for lane in kept[rank].prefix(room[rank]) { result[lane] = rank }
            room[rank] -= min(room[rank], kept[rank].count)
        }
        for lane in result.indices where result[lane] < 0 {
            let rank = room.indices.max { (room[$0], -$0) < (room[$1], -$1) }!
            result[lane] = rank
            room[rank] -= 1
        }
        return result
    }

    /// Which workers train which job: the highest priority first, jobs of one priority in equal shares, each keeping those it has.
    /// - Parameter jobs: in any order; `most` is how many the job can use, `eligible` those that can read its files.
    package static func share(
        _ jobs: [(id: Int64, priority: Int, most: Int, eligible: [Int64], members: [Int64])]
    ) -> [(id: Int64, workers: [Int64])] {
        var taken = IntegerMap<Bool>()
        var result: [(id: Int64, workers: [Int64])] = []
        let sorted = jobs.sorted { (-$0.priority, $0.id) < (-$1.priority, $1.id) }
        var start = 0
        while start < sorted.count {
            let group = sorted[start...].prefix { $0.priority == sorted[start].priority }
            start += group.count
            var free = IntegerMap<Bool>()
            for job in group { for worker in job.eligible where taken[worker] == nil { free[worker] = true } }
            var quota = group.map { _ in 0 }
            var left = free.count
            while left > 0,
                let place = quota.indices.filter({ quota[$0] < group[group.startIndex + $0].most }).min(by: {
                    quota[$0] < quota[$1]
                })
            {
                quota[place] += 1
                left -= 1
            }
            var workers = group.enumerated().map { index, job in
                var able = IntegerMap<Bool>()
                for worker in job.eligible { able[worker] = true }
                return Array(job.members.filter { taken[$0] == nil && able[$0] != nil }.prefix(quota[index]))
            }
            for worker in workers.joined() { taken[worker] = true }
            for (index, job) in group.enumerated() {
                for worker in job.eligible where workers[index].count < quota[index] && taken[worker] == nil {
                    workers[index].append(worker)
                    taken[worker] = true
                }
            }
            result += zip(group, workers).map { ($0.id, $1) }
        }
        return result
    }
}
