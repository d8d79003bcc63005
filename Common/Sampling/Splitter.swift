package import Cluster

/// Assigns entries to the parts of the split by a seeded hash of (identity, entry): the same for any chunking and any
/// worker.
package struct Splitter: Sendable {
    private let key: UInt64
    /// Of 2^32 draws, those below this go to training, and of the others those below `validationBelow` to validation.
    private let trainBelow: UInt64
    private let validationBelow: UInt64

    /// - Parameter identity: the file's identity, so that files are split independently of each other.
    package init(_ split: JobDescription.Split, identity: String) {
        key = mix(split.seed, stableHash(identity))
        func threshold(_ share: Double) -> UInt64 { UInt64(min(max(share, 0), 1) * 4_294_967_296) }
        trainBelow = threshold(split.train)
        validationBelow = split.test <= 0 ? 1 << 32 : threshold(split.train + split.validation)
    }

    /// The part of the file's entry with this number.
    package func part(_ entry: Int64) -> SplitPart {
        let draw = mix(key ^ mix(UInt64(bitPattern: entry))) >> 32
        return draw < trainBelow ? .train : draw < validationBelow ? .validation : .test
    }
}
