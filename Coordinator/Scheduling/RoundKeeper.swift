package import Cluster

/// Keeps a job's training rounds. States, and what moves them:
///
///     idle --(begin)--> settling --(settled, workers there)--> running
///     running --(a member lost, failed or stuck; a worker to take in)--> settling
///     settling | running --(end)--> idle
///     settling --(too many rounds without progress)--> idle, given up
///     settling | running --(members die of it)--> given up
///
/// Members keep their lanes from round to round as far as the numbers allow.
package struct RoundKeeper: Sendable {
    /// A round that runs: who its members are, and which lanes they own.
    package struct Membership: Equatable, Sendable {
        package var round: RoundNumber
        /// The members in the order of their ranks.
        package var members: [WorkerID]
        /// For each lane, the rank that owns it.
        package var owners: [Int]
    }

    /// Whether a round runs, is about to begin, or none is wanted; times are seconds of the clock that is passed in.
    package enum State: Equatable, Sendable {
        case idle
        /// Waiting for the membership to settle.
        case settling(until: Double)
        case running(Membership)
    }

    /// What the scheduler has to do: give members a round's order, end a round, or fail the job.
    package enum Action: Equatable, Sendable {
        case start(Membership)
        case stop(round: RoundNumber, members: [WorkerID])
        case giveUp(reason: String)
    }

    package private(set) var state = State.idle
    /// The newest round; nil before the first.
    package private(set) var round: RoundNumber?
    package let lanes: Int
    /// Which workers are left out of rounds, since rounds failed with them.
    package private(set) var quarantine = MemberQuarantine()
    private var roundsWithoutProgress = 0
    private var lastFailure = ""
    private var begun = 0.0
    /// Each lane's owner in the round before.
    private var owners: [WorkerID?]
    /// Each member's phase and step, and when the slowest of them last moved.
    private var phases: [(phase: RoundPhase, step: Int64)] = []
    private var moved = 0.0
    /// The step that all members of a round have reached, over all rounds: a state that was restored is no progress.
    private var reached: Int64 = 0
    /// Since when a worker waits to be taken in.
    private var growing: Double?
    /// The round before, and when it ended: its members' deaths may be noticed later than what they did to the others.
    private var ended: (membership: Membership, at: Double)?
    /// Members that have died since the last progress.
    private var losses: [Loss] = []

    /// A member whose connection broke.
    private struct Loss: Sendable {
        var round: RoundNumber
        /// How many members its round had.
        var members: Int
        var process: String
        var at: Double
        /// It did not come back, and the others made no progress after it.
        var counts = false
    }

    /// Seconds until a round starts after a member was lost: its neighbours' losses come at the same time.
    private static let settleLoss = 0.3
    private static let settleGrowth = 1.0
    /// Seconds after a round's end within which a death of a member is one of that round.
    private static let lateDeath = 5.0
    /// Seconds for which a round runs at least before it is ended to take in a worker.
    private static let growthAfter = 3.0
    /// Rounds in a row that may end before any progress.
    private static let maxRoundsWithoutProgress = 30
    /// Seconds without a step, all members connecting or stepping, after which something hangs.
    package static let stall = 75.0

    package init(lanes: Int, lastRound: RoundNumber? = nil) {
        self.lanes = lanes
        round = lastRound
        owners = .init(repeating: nil, count: lanes)
    }

    package var membership: Membership? {
        if case .running(let membership) = state { membership } else { nil }
    }

    /// Training begins, or goes on after a restart.
    package mutating func begin(now: Double) { if state == .idle { state = .settling(until: now + Self.settleLoss) } }

    /// Training ends, or pauses.
    /// - Returns: the end of the running round; nil where none runs.
    package mutating func end() -> Action? {
        defer { (state, ended) = (.idle, nil) }
        return membership.map { .stop(round: $0.round, members: $0.members) }
    }

    /// - Parameter available: the workers that this job may train on, in their order of preference.
    package mutating func available(_ available: [WorkerID], now: Double) -> Action? {
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
        ended = (membership, now)
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

    /// A member of the newest round, which may be over, has left it: see `MemberQuarantine.reported`.
    package mutating func reported(_ member: WorkerID, round: RoundNumber, lost: [Int]?, _ reason: String) {
        quarantine.reported(member, round: round, lost: lost, reason)
    }

    /// Once the members' reports have come, and before `tick` starts the next round: decides who is left out of it.
    /// - Returns: nil where that is nobody new.
    package mutating func decide(now: Double) -> MemberQuarantine.Decision? {
        guard case .settling(let until) = state, now >= until else { return nil }
        return quarantine.decide(now: now)
    }

    /// A member reports what it is doing.
    package mutating func heartbeat(of member: WorkerID, _ phase: RoundPhase, step: Int64, now: Double) {
        guard let rank = membership?.members.firstIndex(of: member) else { return }
        let before = phases.map(\.step).min() ?? 0
        if phase != phases[rank].phase { moved = now }
        phases[rank] = (phase, max(step, phases[rank].step))
        guard let slowest = phases.map(\.step).min(), slowest > before else { return }
        moved = now
        guard slowest > reached else { return }
        reached = slowest
        progressed()
        quarantine.progressed()
    }

    /// The training goes on, by a step or a checkpoint: rounds without progress are counted from 0 again, and what
    /// members died of before was not the training.
    package mutating func progressed() {
        roundsWithoutProgress = 0
        losses.removeAll()
    }

    /// A worker's connection broke.
    package mutating func died(_ worker: WorkerID, process: String, now: Double) {
        let last = ended.flatMap { now - $0.at <= Self.lateDeath ? $0.membership : nil }
        let own = [membership, last].compactMap { $0 }.first { $0.members.contains(worker) }
        guard let own, losses.count < 10_000 else { return }
        losses.append(Loss(round: own.round, members: own.members.count, process: process, at: now))
    }

    /// Decides whether members die of the training, by the rule that holds for tasks: a round that lost a member counts
    /// once the member has not come back for a while and no progress was made meanwhile.
    ///
    /// - Parameters:
    ///   - timeout: seconds for which a member may come back.
    ///   - deaths: workers that died lately, whatever they did.
    ///   - isBack: whether a process that was believed dead has joined again.
    package mutating func checkDeaths(now: Double, timeout: Double, deaths: Int, isBack: (String) -> Bool) -> Action? {
        guard !losses.isEmpty else { return nil }
        losses.removeAll { isBack($0.process) }
        for index in losses.indices where now - losses[index].at >= timeout { losses[index].counts = true }
        let counted = losses.filter(\.counts)
        let rounds = Set(counted.map(\.round)).count
        // All workers may be members of a training: a few deaths of many are chance, and half of a round's is not.
        let most = counted.map(\.members).max() ?? 0
        guard CrashRule.isPoison(times: rounds, with: counted.count, all: max(deaths, counted.count)),
            rounds >= 5 || 2 * counted.count >= most
        else { return nil }
        losses.removeAll()
        return .giveUp(
            reason:
                """
                workers died with it, again and again: \(counted.count) members in \(rounds) training rounds without a \
                step; their logs end with the reason. Where it is memory, make the layers, the batch or the number of \
                features smaller
                """)
    }

    /// - Parameter next: the next round's number: larger than that of any round of any job.
    package mutating func tick(now: Double, available: [WorkerID], next: RoundNumber) -> Action? {
        if let membership {
            let waiting = phases.allSatisfy { $0.phase == .connecting || $0.phase == .training }
            guard waiting, now - moved > Self.stall else { return nil }
            return failed("no step for \(Int(Self.stall)) s with \(membership.members.count) members", now: now)
        }
        guard case .settling(let until) = state, now >= until, !available.isEmpty else { return nil }
        guard roundsWithoutProgress < Self.maxRoundsWithoutProgress else {
            state = .idle
            return .giveUp(
                reason:
                    """
                    \(Self.maxRoundsWithoutProgress) training rounds in a row ended before any progress; the last: \
                    \(lastFailure)
                    """
            )
        }
        let members = Array(available.prefix(lanes))
        let ranks = LaneAssignment.move(owners, to: members)
        owners = ranks.map { members[$0] }
        round = next
        let membership = Membership(round: next, members: members, owners: ranks)
        state = .running(membership)
        phases = .init(repeating: (.loading, 0), count: members.count)
        (begun, moved, growing) = (now, now, nil)
        quarantine.began(next, members, now: now)
        return .start(membership)
    }

    /// What must hold after every event; nil where it does.
    package func validate() -> String? {
        guard let membership else { return nil }
        if membership.members.isEmpty || membership.members.count > lanes {
            return "a round of \(membership.members.count) members for \(lanes) lanes"
        }
        if membership.members.indices.contains(where: { membership.members[..<$0].contains(membership.members[$0]) }) {
            return "a worker is in round \(membership.round) twice"
        }
        let loads = membership.members.indices.map { rank in membership.owners.count { $0 == rank } }
        let fair = lanes / loads.count...(lanes + loads.count - 1) / loads.count
        if membership.owners.count != lanes || !loads.allSatisfy(fair.contains) {
            return "the lanes of round \(membership.round) are dealt \(loads)"
        }
        return nil
    }
}
