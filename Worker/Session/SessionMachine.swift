package import Cluster
import OrderedCollections

/// What a worker owes its coordinator: the leases it holds, and the receipts that are not acknowledged yet. Pure; the
/// worker's shell and the simulation drive the same.
///
/// States of a lease here:
///
///     (granted) --> held, worked on --(finished)--> held, with a receipt --(acknowledged or rejected)--> gone
///     any of them --(revoked)--> gone: the work stops at its next step, and no receipt is sent
///
/// It outlives connections: a receipt is sent again in the next session, and within one where no answer came for long.
package struct SessionMachine: Sendable {
    private struct Waiting: Sendable {
        var receipt: Receipt
        var lastSent: Double
    }

    private var held: OrderedSet<LeaseName> = []
    private var receipts: OrderedDictionary<LeaseName, Waiting> = [:]
    private var isConnected = false
    private var leaseSeconds = 10.0
    package private(set) var isDrained = false
    /// The round it is in.
    package var round: Heartbeat.InRound?
    /// Its threads that wait for local files which do not answer.
    package var stuck: Heartbeat.Stuck?

    package init() {}

    package var heldCount: Int { held.count }

    /// A session began.
    /// - Returns: what it holds, and all that was not acknowledged.
    package mutating func connected(now: Double) -> [WorkerMessage] {
        isConnected = true
        for index in receipts.values.indices { receipts.values[index].lastSent = now }
        return [.heartbeat(heartbeat)] + (receipts.isEmpty ? [] : [.receipts(receipts.values.map(\.receipt))])
    }

    /// The session ended: messages wait for the next one.
    package mutating func disconnected() { isConnected = false }

    /// - Returns: what to begin with.
    package mutating func granted(_ grants: [Grant]) -> [Grant] { grants.filter { held.append($0.lease).inserted } }

    /// A task's work is done. Its receipt is kept until it is acknowledged or rejected.
    /// - Returns: the message to send; nil where there is no session, or the lease is not held any more.
    package mutating func finished(_ receipt: Receipt, now: Double) -> WorkerMessage? {
        guard held.contains(receipt.lease) else { return nil }
        receipts[receipt.lease] = Waiting(receipt: receipt, lastSent: now)
        return isConnected ? .receipts([receipt]) : nil
    }

    /// Whether the lease is held: somebody waits for its receipt. Work on one that is not held any more stops.
    package func holds(_ lease: LeaseName) -> Bool { held.contains(lease) }

    /// Nothing is owed for these any more: they were acknowledged, rejected or revoked.
    package mutating func settled(_ leases: [LeaseName]) {
        for lease in leases {
            held.remove(lease)
            receipts[lease] = nil
        }
    }

    /// The coordinator has let the worker in.
    /// - Parameter leaseSeconds: how long a lease lasts; a receipt without an answer is sent again after that time.
    package mutating func welcomed(leaseSeconds: Double) { self.leaseSeconds = leaseSeconds }
    /// The coordinator has drained the worker: it gets no more work and may end.
    package mutating func drained() { isDrained = true }

    private var heartbeat: Heartbeat { Heartbeat(held: Array(held), round: round, stuck: stuck) }

    /// Every second.
    /// - Returns: the heartbeat, and the receipts that got no answer for long.
    package mutating func tick(now: Double) -> [WorkerMessage] {
        guard isConnected else { return [] }
        var late: [Receipt] = []
        for index in receipts.values.indices where now - receipts.values[index].lastSent > leaseSeconds {
            receipts.values[index].lastSent = now
            late.append(receipts.values[index].receipt)
        }
        return [.heartbeat(heartbeat)] + (late.isEmpty ? [] : [.receipts(late)])
    }

    /// What must hold after every event; nil where it does.
    package func validate() -> String? {
        for lease in receipts.keys where !held.contains(lease) { return "a receipt of \(lease) without the lease" }
        return nil
    }
}
