/// The 64-bit FNV-1a hash: the same in every process and on every host, and no defence against chosen collisions.
///
/// Its high bits depend little on the last input: callers that need all 64 bits mix the value once more.
@usableFromInline
package struct FNV1a: Sendable {
    /// The hash of everything combined so far.
    @usableFromInline
    package var value: UInt64 = 0xCBF2_9CE4_8422_2325

    @inlinable
    package init() {}

    /// Combines one byte, or one word as if it were a byte (fewer multiplications for long arrays of numbers).
    @inlinable
    package mutating func combine(_ word: UInt64) { value = (value ^ word) &* 0x100_0000_01B3 }

    /// Combines bytes in order.
    @inlinable
    package mutating func combine(bytes: some Sequence<UInt8>) { for byte in bytes { combine(UInt64(byte)) } }
}
