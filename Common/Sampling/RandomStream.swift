import Cluster

/// The streams of random numbers that a job draws from. Each has a name, so that no two draw the same numbers from one
/// seed.
///
/// The raw values are part of what makes a model's bits: they never change.
package enum RandomStream: UInt64, Sendable, CaseIterable {
    /// The initial values of a layer's weights; index: the layer.
    case initialValues = 0x1217
    /// The order of a lane's samples; indices: epoch, lane.
    case laneOrder = 0x0D3
    /// What dropout drops; indices: step, lane.
    case dropout = 0xD20
    /// How a dataset's blocks are dealt to lanes; index: the dataset.
    case laneDeal = 0x1A9E

    /// The key of this stream's numbers for a job's seed and these indices.
    package func key(seed: UInt64, _ indices: UInt64...) -> UInt64 {
        indices.reduce(mix(seed, rawValue)) { mix($0 ^ mix($1)) }
    }
}
