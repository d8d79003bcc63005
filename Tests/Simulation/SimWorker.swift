import Cluster
import Sampling
import Scheduling
import Session
import Training

/// A worker's process: the real session machine, and what it does with its tasks.
final class SimWorker {
    let index: Int
    var request: JoinRequest
    /// Grows with each restart: what an earlier life began is forgotten.
    var life = 0
    var isAlive = true
    /// Stopped (SIGSTOP) until then: nothing happens, what arrives waits.
    var stoppedUntil = 0.0
    var session = SessionMachine()
    /// The number of its connection, and the coordinator's number for it.
    var connection: Int?
    var ownNumber: WorkerID?
    /// Does its tasks wrongly.
    var isFaulty: Bool
    var member: SimMember?
    var memory: (plan: String, step: Int64, digest: UInt64, epochs: [EpochMetrics])?
    /// The newest round that it left by itself, with what it said.
    var left: (round: RoundNumber, report: TrainingReport)?

    init(index: Int, request: JoinRequest, isFaulty: Bool) {
        self.index = index
        self.request = request
        self.isFaulty = isFaulty
    }
}

/// A worker's part in one round.
final class SimMember {
    let order: RoundOrder
    let schedule: LaneSchedule
    var phase = RoundPhase.loading
    var statements: [Int: RoundStatement] = [:]
    var isConnected = false
    var step: Int64 = -1
    var digest: UInt64 = 0
    var epochs: [EpochMetrics] = []

    init(_ order: RoundOrder, _ schedule: LaneSchedule) {
        self.order = order
        self.schedule = schedule
    }

    var lanes: [Int] { order.owners.indices.filter { order.owners[$0] == order.rank } }
}

/// What the members of a round add up: all get the sum, or, where one is lost, some may and others get an error.
struct SimSum {
    var given: [Int: UInt64] = [:]
    var waiting: [(UInt64?) -> Void] = []
}
