/// The part of the split that an entry belongs to. The raw values are the part codes of `SpecsScanner` and of stored
/// documents.
@usableFromInline
package enum SplitPart: Int, Codable, Sendable, CaseIterable {
    case train, validation, test

    /// The part with this code; nil for a code that no part has.
    @inlinable
    package init?(code: UInt8) { self.init(rawValue: Int(code)) }

    /// The part as one byte, for arrays with a part for each entry or value.
    @inlinable
    package var code: UInt8 { UInt8(rawValue) }
}
