/// What a worker sends to the coordinator during a session.
package enum WorkerMessage: Codable, Sendable, Equatable {
    case join(JoinRequest)
    case heartbeat(Heartbeat)
    case receipts([Receipt])
    /// The address of this member, as payload, for the others.
    case rendezvous(round: RoundNumber, key: String)
    case training(round: RoundNumber, TrainingReport)
    /// What it saw of each site so far.
    case sites([SiteReport])
    /// It ends, and gives back what it holds.
    case leave

    private enum CodingKeys: String, CodingKey {
        case receipts, rendezvous, training, sites
        // What travels has the old spelling.
        case join = "hello"
        case heartbeat = "beat"  // Old spelling.
        case leave = "goodbye"  // Old spelling.
    }
}
