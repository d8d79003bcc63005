package import Cluster

/// One worker's session.
///
///     joined --(drained by the user)--> draining --(nothing held, in no round)--> drained
///        `--(wrong too often)--> quarantined: holds what it has, is assigned nothing more until it joins again
package struct WorkerEntry: Sendable, Equatable {
    package let id: WorkerID
    package let request: JoinRequest
    /// When its newest message came.
    package var lastMessage: Double
    /// No message of it has come for so long that it is left out of training rounds.
    package var isSilent = false
    package var isDraining = false
    /// It was sent `drained`: it may end.
    package var isDrained = false
    /// Why it is assigned nothing more.
    package var quarantined: String?
    /// Times in a row that others did what it could not.
    package var failures = 0
    /// Times in a row that a speculative assignment was faster.
    package var stragglings = 0
    /// The training round it is in, by its own report.
    package var round: Heartbeat.InRound?
    /// Its threads that wait for local files which do not answer, by its own report.
    package var stuck: Heartbeat.Stuck?
    /// Tasks counted.
    package var counted = 0

    package init(id: WorkerID, request: JoinRequest, now: Double) {
        self.id = id
        self.request = request
        lastMessage = now
    }

    /// A message of it came.
    mutating func messageCame(now: Double) {
        lastMessage = now
        isSilent = false
    }

    /// A task of it was counted.
    mutating func succeeded() {
        counted += 1
        (failures, stragglings) = (0, 0)
    }

    package var takesWork: Bool { !isDraining && quarantined == nil }

    /// Whether it has the memory that a training takes; true where either is not known.
    func isLargeEnough(for facts: TrainingFacts) -> Bool {
        guard let memory = facts.memory, request.memoryBytes > 0 else { return true }
        return memory.bytes(threads: request.threads) <= Double(request.memoryBytes)
    }

    package var state: WorkerState { quarantined != nil ? .quarantined : isDraining ? .draining : .working }

    /// Tasks that it may hold at once.
    package var capacity: Int { min(max(1, request.threads), 1024) + min(max(0, request.readAhead), 4096) }
}
