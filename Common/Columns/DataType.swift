/// A plain numeric type as ROOT stores it and as columns hold it (little-endian here, the machine's own).
@usableFromInline
package enum DataType: UInt8, Sendable, Codable, CaseIterable {
    case bool, int8, uint8, int16, uint16, int32, uint32, int64, uint64, float32, float64

    /// Bytes of one value.
    package var size: Int {
        switch self {
        case .bool, .int8, .uint8: 1
        case .int16, .uint16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        }
    }

    package var isFloatingPoint: Bool { self == .float32 || self == .float64 }

    package var name: String {
        switch self {
        case .bool: "bool"
        case .int8: "int8"
        case .uint8: "uint8"
        case .int16: "int16"
        case .uint16: "uint16"
        case .int32: "int32"
        case .uint32: "uint32"
        case .int64: "int64"
        case .uint64: "uint64"
        case .float32: "float"
        case .float64: "double"
        }
    }

    package init?(name: String) {
        guard let found = DataType.allCases.first(where: { $0.name == name }) else { return nil }
        self = found
    }

    /// The dtype in NumPy's notation, little-endian: what reference files use.
    package var numpyName: String {
        let kind = self == .bool ? "b" : isFloatingPoint ? "f" : name.hasPrefix("u") ? "u" : "i"
        return (size == 1 ? "|" : "<") + kind + String(size)
    }
}
