import Bytes
import CKernels
import Columns

/// ROOT's Double32_t and Float16_t (TBufferFile's packing): fewer bits in the file than in memory.
enum PackedReal: Sendable, Equatable {
    /// A Double32_t without a range: four bytes.
    case narrow(as: DataType)
    /// A whole number of steps above a minimum: four bytes.
    case steps(minimum: Double, factor: Double, as: DataType)
    /// An exponent byte and a mantissa of `bits` bits and a sign: three bytes.
    case truncated(bits: Int, as: DataType)

    var type: DataType {
        switch self {
        case .narrow(let type), .steps(_, _, let type), .truncated(_, let type): type
        }
    }

    /// From the `[min,max,bits]` that ends a member's comment or a leaf's type; none stands for the type's own form.
    init(comment: String, double: Bool) {
        let type: DataType = double ? .float64 : .float32
        let plain: PackedReal = double ? .narrow(as: type) : .truncated(bits: 12, as: type)
        guard let range = Self.range(comment) else {
            self = plain
            return
        }
        if range.minimum < range.maximum {
            let steps = range.bits < 32 ? Double(1 << range.bits) : 4_294_967_295
            self = .steps(minimum: range.minimum, factor: steps / (range.maximum - range.minimum), as: type)
        } else {
            self = range.bits < 15 ? .truncated(bits: range.bits, as: type) : plain
        }
    }

    private static func range(_ comment: String) -> (minimum: Double, maximum: Double, bits: Int)? {
        guard let close = comment.lastIndex(of: "]"), let open = comment[..<close].lastIndex(of: "[") else {
            return nil
        }
        let parts = comment[comment.index(after: open)..<close].split(separator: ",", omittingEmptySubsequences: false)
            .map { $0.filter { $0 != " " } }
        guard parts.count == 2 || parts.count == 3, let low = number(parts[0]), let high = number(parts[1]) else {
            return nil
        }
        let bits = parts.count == 3 ? Int(parts[2]) ?? 32 : 32
        return (low, high, (2...32).contains(bits) ? bits : 32)
    }

    /// A number, or a multiple of pi as ROOT allows: `-pi`, `2*pi`, `twopi`, `pi/2`.
    private static func number(_ text: String) -> Double? {
        if let value = Double(text) { return value.isFinite ? value : nil }
        let sign: Double = text.hasPrefix("-") ? -1 : 1
        switch text.drop(while: { $0 == "-" }) {
        case "pi": return sign * .pi
        case "2pi", "2*pi", "twopi": return sign * 2 * .pi
        case "pi/2": return sign * .pi / 2
        case "pi/4": return sign * .pi / 4
        default: return nil
        }
    }

    func decode(_ source: UnsafeRawPointer, _ count: Int, to target: UnsafeMutableRawPointer) {
        let stride = Encoding.packed(self).size
        for index in 0..<count {
            let at = source + index * stride
            let value: Double
            switch self {
            case .narrow: value = Double(Float(bitPattern: Self.load32(at)))
            case .steps(let minimum, let factor, _): value = Double(Self.load32(at)) / factor + minimum
            case .truncated(let bits, _):
                let mantissa = UInt32(UInt16(bigEndian: (at + 1).loadUnaligned(as: UInt16.self)))
                let exponent = UInt32(at.load(as: UInt8.self))
                let magnitude = Float(
                    bitPattern: exponent << 23 | (mantissa & (1 << UInt32(bits + 1) - 1)) << UInt32(23 - bits))
                value = Double(mantissa & 1 << UInt32(bits + 1) != 0 ? -magnitude : magnitude)
            }
            if type == .float64 {
                (target + 8 * index).storeBytes(of: value, as: Double.self)
            } else {
                (target + 4 * index).storeBytes(of: Float(value), as: Float.self)
            }
        }
    }

    private static func load32(_ at: UnsafeRawPointer) -> UInt32 {
        UInt32(bigEndian: at.loadUnaligned(as: UInt32.self))
    }
}
