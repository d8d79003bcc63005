import Bytes
import Cluster
import Collectives
import Training

/// The members of one round find each other, and the plan, in memory.
final class LocalRound: RoundEnvironment {
    let rendezvous: MemoryRendezvous
    private let plans: Plans
    private let rows: [RawBlock]
    private let stored: [UInt8]?
    private let breaking: (step: Int64, slice: Int)?

    init(
        _ plans: Plans, _ rows: [RawBlock], _ rendezvous: MemoryRendezvous, _ stored: [UInt8]?,
        _ breaking: (step: Int64, slice: Int)?
    ) {
        self.plans = plans
        self.rows = rows
        self.rendezvous = rendezvous
        self.stored = stored
        self.breaking = breaking
    }

    var isStopped: Bool { false }

    func load(_ order: RoundOrder) -> LoadedPlan {
        LoadedPlan(plans.data, plans.training, cache: plans.cache(rows))
    }

    func preload(_ order: RoundOrder, _ plan: LoadedPlan) {}

    func open(_ order: RoundOrder) throws -> any Communicator {
        let group = try ProcessGroup(
            rank: order.rank, names: order.members, address: "127.0.0.1", rendezvous: rendezvous)
        return breaking.map { BreakingGroup(group, sum: $0.step, slice: $0.slice) } ?? group
    }

    func checkpoint(_ digest: String) throws -> [UInt8] {
        guard let stored else { throw InputError(.missing, "no checkpoint is stored", object: digest) }
        return stored
    }
}
