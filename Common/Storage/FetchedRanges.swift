/// The bytes of the ranges that were asked for, in the order asked. They live as long as this object.
// SAFETY: immutable; the memory behind its slices is kept by `owners` and not written any more.
package final class FetchedRanges: @unchecked Sendable {
    package let slices: [UnsafeRawBufferPointer]
    /// Bytes that travelled, gaps included.
    package let transferred: Int
    private let owners: [AnyObject]

    init(slices: [UnsafeRawBufferPointer], transferred: Int, owners: [AnyObject]) {
        self.slices = slices
        self.transferred = transferred
        self.owners = owners
    }

    /// A copy of the bytes of the range with this index.
    package func bytes(_ index: Int) -> [UInt8] { withExtendedLifetime(self) { [UInt8](slices[index]) } }
}
