import Bytes
import Columns

extension NTupleSchema.Column {
    /// Bytes of one decoded element: bits become bytes, truncated and half reals become floats, quantised ones doubles
    /// (their range is given in doubles), switches keep their tag.
    var decodedSize: Int {
        switch type {
        case .bit: 1
        case .real16, .splitReal16, .real32Trunc, .switchTag: 4
        case .real32Quant: 8
        case .byte, .char, .int8, .uint8, .int16, .uint16, .int32, .uint32, .int64, .uint64, .real32, .real64, .index32,
            .index64, .splitInt16, .splitUInt16, .splitInt32, .splitUInt32, .splitInt64, .splitUInt64, .splitReal32,
            .splitReal64, .splitIndex32, .splitIndex64, nil:
            bits / 8
        }
    }

    /// The type of a decoded element; nil for indices and switches.
    var decodedType: DataType? { type == .real32Quant ? .float64 : type?.natural }

    /// Bytes of `count` elements in an inflated page.
    func pageSize(_ count: Int) -> Int { (count * bits + 7) / 8 }

    /// Undoes a page's encoding.
    /// - Parameters:
    ///   - page: `pageSize(count)` bytes.
    ///   - target: room for `count * decodedSize` bytes.
    func decode(_ page: UnsafeRawBufferPointer, _ count: Int, to target: UnsafeMutableRawPointer) throws(InputError) {
        guard let type, page.count >= pageSize(count) else {
            throw InputError(.corrupt, "a page is too short for its elements")
        }
        guard count > 0, let source = page.baseAddress else { return }
        switch type {
        case .bit:
            for index in 0..<count {
                target.storeBytes(of: (page[index >> 3] >> UInt8(index & 7)) & 1, toByteOffset: index, as: UInt8.self)
            }
        case .byte, .char, .int8, .uint8, .int16, .uint16, .int32, .uint32, .int64, .uint64, .real32, .real64, .index32,
            .index64:
            target.copyMemory(from: source, byteCount: count * bits / 8)
        case .switchTag:
            for index in 0..<count {
                target.storeBytes(
                    of: (source + 12 * index + 8).loadUnaligned(as: UInt32.self), toByteOffset: 4 * index,
                    as: UInt32.self)
            }
        case .real16: halves(count, target) { (source + 2 * $0).loadUnaligned(as: UInt16.self) }
        case .splitReal16: halves(count, target) { UInt16(page[$0]) | UInt16(page[count + $0]) << 8 }
        case .splitInt16, .splitUInt16: join(page, count, target, UInt16.self)
        case .splitInt32, .splitUInt32, .splitReal32, .splitIndex32: join(page, count, target, UInt32.self)
        case .splitInt64, .splitUInt64, .splitReal64, .splitIndex64: join(page, count, target, UInt64.self)
        case .real32Trunc:
            packed(page, count) {
                target.storeBytes(of: $1 << UInt32(32 - bits), toByteOffset: 4 * $0, as: UInt32.self)
            }
        case .real32Quant:
            let step = (maximum - minimum) / Double((UInt64(1) << UInt64(bits)) - 1)
            packed(page, count) {
                target.storeBytes(of: minimum + Double($1) * step, toByteOffset: 8 * $0, as: Double.self)
            }
        }
    }

    private func halves(_ count: Int, _ target: UnsafeMutableRawPointer, _ element: (Int) -> UInt16) {
        for index in 0..<count {
            let half = UInt32(element(index))
            let sign = (half & 0x8000) << 16
            let exponent = half >> 10 & 0x1F
            let mantissa = half & 0x3FF
            let value: Float =
                switch exponent {
                case 0: Float(sign == 0 ? 1 : -1) * Float(mantissa) * 0x1p-24
                case 31: Float(bitPattern: sign | 0x7F80_0000 | mantissa << 13)
                default: Float(bitPattern: sign | (exponent + 112) << 23 | mantissa << 13)
                }
            target.storeBytes(of: value, toByteOffset: 4 * index, as: Float.self)
        }
    }

    /// Elements whose bytes were taken apart: all first bytes, then all second ones. Then zigzag or delta is undone.
    private func join<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ page: UnsafeRawBufferPointer, _ count: Int, _ target: UnsafeMutableRawPointer, _: T.Type
    ) {
        let bytes = page.baseAddress!.assumingMemoryBound(to: UInt8.self)
        let width = MemoryLayout<T>.size
        let isZigzag = type!.isZigzag
        let isDelta = type!.isDelta
        var sum: T = 0
        for index in 0..<count {
            var value: T = 0
            for byte in 0..<width { value |= T(truncatingIfNeeded: bytes[byte * count + index]) << T(8 * byte) }
            if isZigzag { value = value >> 1 ^ (0 &- (value & 1)) }
            if isDelta {
                sum = sum &+ value
                value = sum
            }
            target.storeBytes(of: value, toByteOffset: width * index, as: T.self)
        }
    }

    /// Elements of `bits` bits one after another, lowest bit first.
    private func packed(_ page: UnsafeRawBufferPointer, _ count: Int, _ body: (Int, UInt32) -> Void) {
        let mask = (UInt64(1) << UInt64(bits)) - 1
        for index in 0..<count {
            let bit = index * bits
            var word: UInt64 = 0
            for byte in 0..<min(8, page.count - bit >> 3) {
                word |= UInt64(page[(bit >> 3) + byte]) << UInt64(8 * byte)
            }
            body(index, UInt32(truncatingIfNeeded: word >> UInt64(bit & 7) & mask))
        }
    }
}
