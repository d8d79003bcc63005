/// `length` bytes from `offset` of a file.
package struct ByteRange: Hashable, Sendable {
    package var offset: Int
    package var length: Int

    package init(offset: Int, length: Int) {
        self.offset = offset
        self.length = length
    }

    /// The offset behind the last byte.
    package var end: Int { offset + length }
}
