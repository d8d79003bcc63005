/// How many bytes the models of a node may take together, and how many are taken. Pure.
package struct MemoryBudget: Sendable {
    /// The most bytes.
    package let total: Int
    /// The bytes that are taken.
    package private(set) var used = 0

    /// A budget of which nothing is taken.
    package init(total: Int) { self.total = max(0, total) }

    /// The bytes that are left.
    package var free: Int { total - used }

    /// Takes bytes.
    ///
    /// - Returns: false where there are not so many left; nothing is taken then.
    package mutating func reserve(_ bytes: Int) -> Bool {
        guard bytes >= 0, bytes <= free else { return false }
        used += bytes
        return true
    }

    /// Gives back bytes that were taken.
    package mutating func release(_ bytes: Int) { used -= bytes }
}
