package import Cluster
import OrderedCollections

/// Decides which worker is at fault where a job's training rounds fail again and again, and leaves it out of rounds:
/// after its second failed round for a time that doubles with each further one.
///
/// What members report of a round is collected until the next round is about to start; then the failure is attributed
/// to one worker at most: one that could not do its own part, or else the one that is part of the most pairs that could
/// not reach each other. A round in which several members make a step clears them.
package struct MemberQuarantine: Sendable {
    /// A worker is left out of rounds.
    package struct Decision: Equatable, Sendable {
        package var worker: WorkerID
        /// For how long, in seconds.
        package var seconds: Double
        /// Why, in a sentence that begins with the number of failed rounds.
        package var reason: String
    }

    /// What is known of a worker with which rounds failed.
    private struct Record: Sendable {
        var failures = 0
        var until = 0.0
        var reason = ""
    }

    /// What a member reports of the round that failed.
    private struct Report: Sendable {
        var reporter: WorkerID
        /// The members that it could not reach; nil where it could not do its own part.
        var lost: [WorkerID]?
        var reason: String
    }

    /// Seconds for which a worker is left out after its second failed round, and at most.
    package static let firstSeconds = 10.0
    package static let maxSeconds = 600.0
    /// Seconds after its time out at which a worker's failures are forgotten.
    private static let memory = 3600.0

    private var records: OrderedDictionary<WorkerID, Record> = [:]
    /// Workers that have made steps with others, and have not failed since.
    private var proven: OrderedSet<WorkerID> = []
    /// The newest round, and what its members reported.
    private var round: RoundNumber?
    private var members: [WorkerID] = []
    private var reports: [Report] = []

    package init() {}

    /// A round starts.
    package mutating func began(_ round: RoundNumber, _ members: [WorkerID], now: Double) {
        (self.round, self.members, reports) = (round, members, [])
        records = records.filter { now < $0.value.until + Self.memory || $0.value.until == 0 }
    }

    /// The members of the newest round have made a step.
    package mutating func progressed() {
        guard members.count > 1 else { return }
        for member in members {
            records[member] = nil
            proven.append(member)
        }
        reports = []
    }

    /// A member has left a round.
    ///
    /// - Parameter lost: ranks of the members that it could not reach; empty where nobody can be named, and nil where
    ///   it could not do its own part.
    package mutating func reported(_ reporter: WorkerID, round: RoundNumber, lost: [Int]?, _ reason: String) {
        guard round == self.round, members.contains(reporter), !reports.contains(where: { $0.reporter == reporter })
        else { return }
        let lost = lost.map { ranks in
            ranks.filter(members.indices.contains).map { members[$0] }.filter { $0 != reporter }
        }
        reports.append(Report(reporter: reporter, lost: lost, reason: reason))
    }

    /// The next round is about to start: attributes the failure of the last one.
    ///
    /// - Returns: who is left out of rounds from now on; nil where that is nobody new.
    package mutating func decide(now: Double) -> Decision? {
        defer { reports = [] }
        guard let (worker, reason) = responsible() else { return nil }
        proven.remove(worker)
        var record = records[worker] ?? Record()
        record.failures += 1
        guard record.failures > 1 else {
            records[worker] = record
            return nil
        }
        let seconds = min(Self.maxSeconds, Self.firstSeconds * Double(1 << min(record.failures - 2, 20)))
        record.until = now + seconds
        record.reason = "\(record.failures) training rounds failed with it; the last: \(reason)"
        records[worker] = record
        return Decision(worker: worker, seconds: seconds, reason: record.reason)
    }

    private func responsible() -> (worker: WorkerID, reason: String)? {
        if let own = reports.first(where: { $0.lost == nil }) { return (own.reporter, own.reason) }
        // Each pair that could not talk counts once for both; being named decides between two.
        var pairs: [(a: WorkerID, b: WorkerID)] = []
        for report in reports {
            for lost in report.lost ?? [] {
                let pair = (min(report.reporter, lost), max(report.reporter, lost))
                if !pairs.contains(where: { $0 == pair }) { pairs.append(pair) }
            }
        }
        func weight(_ worker: WorkerID) -> (Int, Int, Int, WorkerID) {
            let named = reports.count { $0.lost?.contains(worker) == true }
            return (pairs.count { $0.a == worker || $0.b == worker }, proven.contains(worker) ? 0 : 1, named, worker)
        }
        let suspects = members.filter { member in pairs.contains { $0.a == member || $0.b == member } }
        guard let worker = suspects.max(by: { weight($0) < weight($1) }) else { return nil }
        let reason = reports.first { $0.reporter == worker || $0.lost?.contains(worker) == true }?.reason
        return (worker, reason ?? "")
    }

    /// The workers that may take part in the next round, in the given order. Those of the round that runs always may;
    /// where nobody is left, all may, since that can only help.
    package func admitted(_ workers: [WorkerID], running: [WorkerID], now: Double) -> [WorkerID] {
        let admitted = workers.filter { running.contains($0) || leftOut($0, now: now) == nil }
        return admitted.isEmpty ? workers : admitted
    }

    /// For how many seconds more a worker is left out of rounds, and why; nil where it is not.
    package func leftOut(_ worker: WorkerID, now: Double) -> (seconds: Double, reason: String)? {
        guard let record = records[worker], record.until > now else { return nil }
        return (record.until - now, record.reason)
    }
}
