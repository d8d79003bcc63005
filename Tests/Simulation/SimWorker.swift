import Cluster
import Member
import Sampling
import Session

/// A worker's process: the real machines of its session and of its training, and what it does with its tasks.
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
    var member: MemberMachine
    /// How often its member stores and reports; drawn once.
    let memberSettings: MemberMachine.Settings
    /// The training round under way.
    var attempt: SimAttempt?
    /// The round that was ordered last and has not begun.
    var expected: SimAttempt?
    /// The training state in memory.
    var weights: SimWeights?
    /// States on their way to the coordinator, oldest first.
    var storing: [(job: JobID, weights: SimWeights)] = []

    init(index: Int, request: JoinRequest, isFaulty: Bool, memberSettings: MemberMachine.Settings) {
        self.index = index
        self.request = request
        self.isFaulty = isFaulty
        self.memberSettings = memberSettings
        member = MemberMachine(settings: memberSettings)
    }

    /// A new process, which has nothing in memory.
    func restart() {
        session = SessionMachine()
        member = MemberMachine(settings: memberSettings)
        (expected, weights, storing) = (nil, nil, [])
    }
}

/// A training state: its step, and a hash instead of its numbers.
struct SimWeights: Equatable {
    var step: Int64
    var digest: UInt64
}

/// A worker's part in one round.
final class SimAttempt {
    let order: RoundOrder
    let schedule: LaneSchedule
    var statements: RoundStatementTable = [:]
    /// What is under way, and how many operations there were.
    var operation: MemberOperation?
    var operationNumber = 0
    /// The operation that waits for a sum over the members.
    var addingOperation = 0

    init(_ order: RoundOrder, _ schedule: LaneSchedule) {
        self.order = order
        self.schedule = schedule
    }

    var lanes: [Int] { order.owners.indices.filter { order.owners[$0] == order.rank } }
    var isAdding: Bool { operation != nil && addingOperation == operationNumber }
}

/// What the members of a round add up: all get the sum, or, where one is lost, some may and others get an error.
struct SimSum {
    var given: [Int: UInt64] = [:]
    var waiting: [(UInt64?) -> Void] = []
}
