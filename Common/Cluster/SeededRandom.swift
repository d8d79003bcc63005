import Bytes

/// Mixes 64 bits so that each output bit depends on every input bit (the finaliser of SplitMix64).
@inlinable
package func mix(_ value: UInt64) -> UInt64 {
    var z = value &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
}

/// A hash of several numbers, in order: the key of counter-based random numbers.
@inlinable
package func mix(_ first: UInt64, _ rest: UInt64...) -> UInt64 {
    rest.reduce(mix(first)) { mix($0 ^ mix($1)) }
}

/// A hash of text that is the same in every process (FNV-1a, then mixed).
package func stableHash(_ text: String) -> UInt64 {
    var hash = FNV1a()
    hash.combine(bytes: text.utf8)
    return mix(hash.value)
}

/// A generator with a seed; the same everywhere.
package struct SeededRandom: RandomNumberGenerator, Sendable {
    private var key: UInt64
    private var counter: UInt64 = 0

    package init(seed: UInt64) { key = mix(seed) }

    /// The next 64 bits of the sequence, uniformly distributed.
    package mutating func next() -> UInt64 {
        counter &+= 1
        return mix(key &+ counter &* 0x9E37_79B9_7F4A_7C15)
    }

    /// A number below `bound`, by multiplication (the bias is below 2^-32 for bounds below 2^32).
    package mutating func below(_ bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(bound)).high) }

    /// A permutation of 0..<count (Fisher and Yates).
    package mutating func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        guard count > 1 else { return order }
        for index in stride(from: count - 1, to: 0, by: -1) { order.swapAt(index, below(index + 1)) }
        return order
    }
}
