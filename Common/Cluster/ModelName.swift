/// What a served model may be called. The name is part of paths of the inference node's HTTP interface.
package enum ModelName {
    /// The most bytes of a name.
    private static let maxBytes = 128

    /// What a name must be, in words.
    package static let expected =
        "1 to \(maxBytes) letters, digits, dots, dashes and underscores, not beginning with a dot"

    /// Whether a model may have this name.
    package static func isValid(_ name: String) -> Bool {
        (1...maxBytes).contains(name.utf8.count) && !name.hasPrefix(".") && name.utf8.allSatisfy(isNameByte)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
