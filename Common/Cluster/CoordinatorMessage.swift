/// What the coordinator sends to a worker during a session.
package enum CoordinatorMessage: Codable, Sendable, Equatable {
    /// Coordinators of protocol version 1 send no version.
    case welcome(worker: WorkerID, leaseSeconds: Double, protocolVersion: Int?)
    case grants([Grant])
    case acknowledged([LeaseName])
    /// A receipt was not counted, and the lease is over.
    case rejected(LeaseName, reason: String)
    /// Nobody waits for these any more: their job has ended, another worker was faster, or they ran out. The worker
    /// stops working on them and sends no receipt.
    case revoked([LeaseName])
    case startRound(RoundOrder)
    case stopRound(round: RoundNumber)
    case rendezvous(round: RoundNumber, key: String)
    /// The sites file, at the session's start.
    case catalog(SiteCatalog)
    case sites([SiteDirective])
    /// A bearer token for the running job's sites, as payload; empty where there is none. Sent over TLS only.
    case credential
    /// The worker is drained and may end.
    case drained

    private enum CodingKeys: String, CodingKey {
        case welcome, grants, acknowledged, revoked, startRound, stopRound, rendezvous, catalog, sites, credential
        // What travels has the old spelling.
        case rejected = "refused"
        case drained = "dismissed"  // Old spelling.
    }
}
