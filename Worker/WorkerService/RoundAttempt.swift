import Cluster
import Collectives
import Foundation
import Training

/// Connects the operations of one round with the coordinator and the other members, and knows whether the round was
/// interrupted.
// SAFETY: `values` and `isInterrupted` are touched only while `condition` is locked; everything else is constant.
final class RoundAttempt: RoundEnvironment, Rendezvous, @unchecked Sendable {
    let round: RoundNumber
    let blobs: BlobClient
    private let loader: PlanLoader
    private let outbox: Outbox
    private let condition = NSCondition()
    private var values: [String: [UInt8]] = [:]
    private var isInterrupted = false

    init(round: RoundNumber, outbox: Outbox, blobs: BlobClient, loader: PlanLoader) {
        self.round = round
        self.loader = loader
        self.outbox = outbox
        self.blobs = blobs
    }

    var isStopped: Bool { condition.withLock { isInterrupted } }

    /// Wakes whatever waits for another member.
    func interrupt() {
        condition.withLock {
            isInterrupted = true
            condition.broadcast()
        }
    }

    // MARK: Operations

    func load(_ order: RoundOrder) throws -> LoadedPlan { try loader.load(order, blobs) }

    func preload(_ order: RoundOrder, _ plan: LoadedPlan) throws {
        let lanes = order.owners.indices.filter { order.owners[$0] == order.rank }
        try loader.preload(plan, lanes: lanes) { [self] in isStopped }
    }

    func connect(_ order: RoundOrder) throws -> any Communicator {
        try ProcessGroup(rank: order.rank, size: order.members.count, host: loader.host, timeout: 30, rendezvous: self)
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
