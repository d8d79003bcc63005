import Bytes

/// The column types of the specification, by their numbers.
enum NTupleEncoding: UInt16, Sendable {
    case bit, byte, char, int8, uint8, int16, uint16, int32, uint32, int64, uint64, real16, real32, real64
    case index32, index64, switchTag
    case splitInt16, splitUInt16, splitInt32, splitUInt32, splitInt64, splitUInt64, splitReal16, splitReal32,
        splitReal64
    case splitIndex32, splitIndex64, real32Trunc, real32Quant

    func allows(_ bits: Int) -> Bool {
        switch self {
        case .real32Trunc: (10...31).contains(bits)
        case .real32Quant: (1...32).contains(bits)
        case .bit, .byte, .char, .int8, .uint8, .int16, .uint16, .int32, .uint32, .int64, .uint64, .real16, .real32,
            .real64, .index32, .index64, .switchTag, .splitInt16, .splitUInt16, .splitInt32, .splitUInt32, .splitInt64,
            .splitUInt64, .splitReal16, .splitReal32, .splitReal64, .splitIndex32, .splitIndex64:
            bits == width
        }
    }

    /// Bits of one element; for packed reals the column's own width.
    var width: Int {
        switch self {
        case .bit: 1
        case .byte, .char, .int8, .uint8: 8
        case .int16, .uint16, .real16, .splitInt16, .splitUInt16, .splitReal16: 16
        case .int32, .uint32, .real32, .index32, .splitInt32, .splitUInt32, .splitReal32, .splitIndex32: 32
        case .int64, .uint64, .real64, .index64, .splitInt64, .splitUInt64, .splitReal64, .splitIndex64: 64
        case .switchTag: 96
        case .real32Trunc, .real32Quant: 32
        }
    }

    var isIndex: Bool { self == .index32 || self == .index64 || self == .splitIndex32 || self == .splitIndex64 }
    var isZigzag: Bool { self == .splitInt16 || self == .splitInt32 || self == .splitInt64 }
    var isDelta: Bool { self == .splitIndex32 || self == .splitIndex64 }
}
