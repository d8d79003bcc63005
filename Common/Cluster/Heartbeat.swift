/// What a worker holds, every second. The coordinator renews those leases, and sends again what the worker should know
/// and does not.
package struct Heartbeat: Codable, Sendable, Equatable {
    /// The round that the worker is a member of, what it is doing there, and the last step of its state.
    package struct InRound: Codable, Sendable, Equatable {
        package var round: RoundNumber
        package var phase: RoundPhase
        package var step: Int64

        package init(round: RoundNumber, phase: RoundPhase, step: Int64) {
            self.round = round
            self.phase = phase
            self.step = step
        }
    }

    package var held: [LeaseName]
    package var round: InRound?

    package init(held: [LeaseName], round: InRound? = nil) {
        self.held = held
        self.round = round
    }
}

/// What a member of a round is doing.
package enum RoundPhase: String, Codable, Sendable, CaseIterable { case loading, connecting, training, evaluating }

// MARK: Decoding: what an earlier format lacks has its default

extension Heartbeat {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init(held: [])
        try keys.read(.held, into: &held)
        try keys.read(.round, into: &round)
    }
}
