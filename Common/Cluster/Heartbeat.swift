import Bytes

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

    /// Threads that wait for files of the worker's own machine which do not answer: a network file system that hangs.
    package struct Stuck: Codable, Sendable, Equatable {
        /// How many threads wait, for any file.
        package var threads: Int
        /// The file that has been waited for the longest, shortened, and for how long.
        package var file: String
        package var seconds: Double

        package init(threads: Int, file: String, seconds: Double) {
            self.threads = threads
            self.file = file
            self.seconds = seconds
        }

        /// What a coordinator keeps of it.
        package var sane: Stuck {
            Stuck(
                threads: max(0, min(threads, 1 << 20)), file: file.shortened(to: 1000),
                seconds: seconds.isFinite ? seconds : 0)
        }

        /// For people.
        package var sentence: String {
            "\(threads) thread\(threads == 1 ? "" : "s") stuck in \(file) for \(Int(max(0, min(seconds, 1e9)))) s"
        }
    }

    package var held: [LeaseName]
    package var round: InRound?
    /// Nil where no thread is stuck.
    package var stuck: Stuck?

    package init(held: [LeaseName], round: InRound? = nil, stuck: Stuck? = nil) {
        self.held = held
        self.round = round
        self.stuck = stuck
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
        try keys.read(.stuck, into: &stuck)
    }
}
