/// What is wrong with the way between a client and a server.
package struct Impairment: Sendable {
    /// Round trip, seconds; half of it each way.
    package var delay = 0.0
    /// Up to this much more, seconds, each way.
    package var jitter = 0.0
    /// Of the link, in each direction, all connections together; nil for as much as the machine gives.
    package var bytesPerSecond: Double?
    /// Connections closed as soon as they are made.
    package var rejectConnections = 0.0
    /// XRootD opens answered with an error, by probability.
    package var rejectOpens = 0.0
    /// Connections are reset after so many bytes from the server.
    package var resetEvery: Int?
    /// Nothing goes through any more after so many bytes from the server, all connections together, until `resume`.
    package var stallAfter: Int?

    package init() {}
}

/// Random numbers from a seed (SplitMix64): the same faults in each run.
package struct FaultRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
