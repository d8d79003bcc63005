import Cluster
import Collectives
import Foundation
import Training

/// Connects the operations of one round with the coordinator and the other members, and knows whether the round was
/// interrupted.
// SAFETY: `values`, `isInterrupted` and `group` are touched only while `condition` is locked; everything else is
// constant.
final class RoundAttempt: RoundEnvironment, Rendezvous, @unchecked Sendable {
    let round: RoundNumber
    let blobs: BlobClient
    private let loader: PlanLoader
    private let outbox: Outbox
    private let condition = NSCondition()
    private var values: [String: [UInt8]] = [:]
    private var isInterrupted = false
    /// The connections, for as long as the executor keeps them.
    private weak var group: ProcessGroup?

    init(round: RoundNumber, outbox: Outbox, blobs: BlobClient, loader: PlanLoader) {
        self.round = round
        self.loader = loader
        self.outbox = outbox
        self.blobs = blobs
    }

    var isStopped: Bool { condition.withLock { isInterrupted } }

    /// Wakes whatever waits for another member, a sum that is under way too.
    func interrupt() {
        let group = condition.withLock {
            isInterrupted = true
            condition.broadcast()
            return self.group
        }
        group?.abandon()
    }

    // MARK: Operations

    func load(_ order: RoundOrder) throws -> LoadedPlan { try loader.load(order, blobs) }

    func preload(_ order: RoundOrder, _ plan: LoadedPlan) throws {
        let lanes = order.owners.indices.filter { order.owners[$0] == order.rank }
        try loader.preload(plan, lanes: lanes) { [self] in isStopped }
    }

    func open(_ order: RoundOrder) throws -> any Communicator {
        let group = try ProcessGroup(rank: order.rank, names: order.members, address: loader.host, rendezvous: self)
        condition.withLock { self.group = group }
        // An interrupt that came before had nothing to end.
        if isStopped { group.abandon() }
        return group
    }

    func checkpoint(_ digest: String) throws -> [UInt8] { try blocking { [blobs] in try await blobs.get(digest) } }

    // MARK: Rendezvous

    func set(_ key: String, _ value: [UInt8]) {
        outbox.send(.rendezvous(round: round, key: key), payload: value)
    }

    /// Takes a value that a member has set.
    func arrived(_ key: String, _ value: [UInt8]) {
        condition.withLock {
            values[key] = value
            condition.broadcast()
        }
    }

    func wait(_ key: String) -> [UInt8]? {
        condition.withLock {
            while !isInterrupted {
                if let value = values[key] { return value }
                condition.wait()
            }
            return nil
        }
    }
}
