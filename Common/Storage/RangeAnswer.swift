import Bytes

/// The bytes of an answer, and the offsets in them at which the ranges asked for begin.
struct RangeAnswer: Sendable {
    let buffer: AlignedBuffer
    let offsets: [Int]
    let size: Int
    let tag: String?
}
