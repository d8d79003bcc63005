/// How one entry of a branch nests, outermost level first. No level: one number an entry.
package struct Shape: Sendable, Equatable, Codable {
    /// One level of nesting: how many items a list of this level has.
    package enum Level: Sendable, Equatable, Codable {
        /// Always this many items.
        case fixed(Int)
        /// A number of items that an array of offsets gives.
        case varying
    }

    package let levels: [Level]

    package init(_ levels: [Level]) { self.levels = levels }

    package static let flat = Shape([])
    /// Entries that are all arrays of the same dimensions, outermost first.
    package static func fixed(_ dimensions: [Int]) -> Shape { Shape(dimensions.map { .fixed($0) }) }
    /// A varying number of items, each a fixed array of `inner` (empty: plain numbers).
    package static func jagged(inner: [Int] = []) -> Shape { Shape([.varying] + inner.map { .fixed($0) }) }

    /// The number of offsets arrays.
    package var varyingLevels: Int { levels.count { $0 == .varying } }
    package var isJagged: Bool { levels.contains(.varying) }

    /// Values in one innermost item: the product of the fixed levels after the last varying one.
    package var itemValues: Int {
        var product = 1
        for case .fixed(let count) in levels.reversed().prefix(while: { $0 != .varying }) {
            let (next, overflow) = product.multipliedReportingOverflow(by: count)
            product = overflow ? .max : next
        }
        return product
    }

    /// Values in one entry, where they do not vary.
    package var fixedValues: Int? { isJagged ? nil : itemValues }

    /// `flat`, `[3]`, `[n]`, `[n][3]`, `[n][n]`.
    package var description: String {
        guard !levels.isEmpty else { return "flat" }
        return levels.map { level in
            switch level {
            case .fixed(let count): "[\(count)]"
            case .varying: "[n]"
            }
        }.joined()
    }
}
