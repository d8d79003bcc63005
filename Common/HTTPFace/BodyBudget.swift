/// The bytes of request bodies that a server holds at once. Pure.
package struct BodyBudget: Sendable {
    /// A body of at most so many bytes is a small one.
    package static let small = 1 << 20
    /// The most bytes.
    package let total: Int
    /// The part of them that only small bodies may take, so that a few large ones do not keep all others out.
    package let keptForSmall: Int
    /// The bytes that are reserved.
    package private(set) var held = 0

    /// A budget of which nothing is taken.
    package init(total: Int, keptForSmall: Int) {
        self.total = total
        self.keptForSmall = keptForSmall
    }

    /// Reserves bytes for a body.
    ///
    /// - Parameters:
    ///   - bytes: how many, not negative.
    ///   - size: all that the body has reserved, these included.
    /// - Returns: false where there is no room; nothing is reserved then.
    package mutating func reserve(_ bytes: Int, of size: Int) -> Bool {
        let room = size <= Self.small ? total : total - keptForSmall
        guard bytes <= room - held else { return false }
        held += bytes
        return true
    }

    /// Gives back what was reserved.
    package mutating func release(_ bytes: Int) { held -= bytes }
}
