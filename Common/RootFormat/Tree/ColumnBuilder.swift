import Bytes
import CKernels
import Columns

/// What is known of one inflated basket.
struct BasketData {
    /// Bytes of data; the offsets stand behind them.
    var border: Int
    /// What stored offsets count from.
    var keyLength: Int
    /// Offsets of an embedded basket; a stored one has them behind the data.
    var offsets: [Int32]
    var entries: Int
    var trailing = false
}

/// Collects the values of one column from its baskets, in the machine's byte order.
struct ColumnBuilder {
    private let type: DataType
    private let shape: Shape
    private let entries: Int
    private let layout: BranchDescription.Layout
    private var values: AlignedBuffer
    private var used = 0
    private let offsets: AlignedBuffer?
    private var filled = 0
    private var items: Int64 = 0

    init(type: DataType, shape: Shape, entries: Int, layout: BranchDescription.Layout) {
        self.type = type
        self.shape = shape
        self.entries = entries
        self.layout = layout
        // A first guess; what damaged metadata announce beyond it is never allocated before it was read.
        let (size, overflow) = (entries * type.size).multipliedReportingOverflow(by: shape.isJagged ? 1 : shape.itemValues)
        values = AlignedBuffer(capacity: overflow ? 0 : min(size, 64 << 20))
        offsets = shape.isJagged ? AlignedBuffer(capacity: (entries + 1) * 8) : nil
        offsets?.values(of: Int64.self, count: 1)[0] = 0
    }

    func finish() -> Column {
        Column(type: type, shape: shape, entries: entries, count: used / type.size, values: values, offsets: offsets)
    }

    mutating func append(_ bytes: [UInt8], _ data: BasketData, _ local: Range<Int>) throws(FormatError) {
        var copy = self
        var failure: FormatError?
        bytes.withUnsafeBytes { raw in
            do throws(FormatError) { try copy.append(raw, data, local) } catch { failure = error }
        }
        if let failure { throw failure }
        self = copy
    }

    /// Adds the entries `local` of a basket whose inflated bytes are `bytes`.
    mutating func append(_ bytes: UnsafeRawBufferPointer, _ data: BasketData, _ local: Range<Int>) throws(FormatError) {
        guard data.border <= bytes.count else {
            throw FormatError(.corrupt, "a basket is shorter than it says", expected: "\(data.border) bytes", found: "\(bytes.count)")
        }
        if shape.isJagged { try appendJagged(bytes, data, local) } else { try appendFixed(bytes, data, local) }
    }

    private mutating func appendFixed(_ bytes: UnsafeRawBufferPointer, _ data: BasketData, _ local: Range<Int>) throws(FormatError) {
        let width = shape.itemValues
        let size = layout.entrySize
        guard data.entries <= data.border / max(1, size) else {
            throw FormatError(
                .corrupt, "a basket is too short for its entries", expected: "\(data.entries) of \(size) bytes", found: "\(data.border) bytes")
        }
        reserve(local.count * width * type.size)
        if size == width * type.size {
            copy(bytes.baseAddress! + local.lowerBound * size, local.count * width)
        } else {
            for entry in local { copy(bytes.baseAddress! + entry * size + layout.leafOffset, width) }
        }
    }

    private mutating func appendJagged(_ bytes: UnsafeRawBufferPointer, _ data: BasketData, _ local: Range<Int>) throws(FormatError) {
        let offset = try offsetReader(bytes, data)
        let itemSize = shape.itemValues * type.size
        let targets = offsets!.values(of: Int64.self, count: entries + 1)
        let first = try offset(local.lowerBound)
        let last = try offset(local.upperBound)
        guard first >= 0, last >= first, last <= data.border else {
            throw FormatError(.corrupt, "entry offsets point outside their basket", expected: "0 to \(data.border)", found: "\(first) to \(last)")
        }
        reserve(last - first)
        var start = first
        for entry in local {
            let end = try offset(entry + 1)
            let begin = start + layout.headerSize
            // A counted array of no items has no bytes; a vector always has its header.
            guard end >= begin, end <= data.border, (end - begin) % itemSize == 0 else {
                throw FormatError(
                    .corrupt, "an entry's bytes are not whole items", offset: start, expected: "a multiple of \(itemSize)", found: "\(end - begin)")
            }
            let count = (end - begin) / itemSize
            if layout.headerSize > 0 {
                try checkVectorHeader(bytes, at: start, count: count)
                copy(bytes.baseAddress! + begin, count * shape.itemValues)
            }
            items += Int64(count)
            filled += 1
            targets[filled] = items
            start = end
        }
        if layout.headerSize == 0 { copy(bytes.baseAddress! + first, (last - first) / type.size) }
    }

    private func checkVectorHeader(_ bytes: UnsafeRawBufferPointer, at start: Int, count: Int) throws(FormatError) {
        let version = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: start + 4, as: UInt16.self))
        guard version & 0x4000 == 0 else { throw FormatError(.unsupported, "member-wise streaming is not read yet", offset: start) }
        let announced = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: start + 6, as: UInt32.self))
        guard Int(announced) == count else {
            throw FormatError(.corrupt, "a vector's length contradicts its bytes", offset: start, expected: "\(count)", found: "\(announced)")
        }
    }

    /// A function from a local entry to the offset of its first byte in the data; for `entries`, their end.
    private func offsetReader(_ bytes: UnsafeRawBufferPointer, _ data: BasketData) throws(FormatError) -> (Int) throws(FormatError) -> Int {
        let border = data.border
        let keyLength = data.keyLength
        let entries = data.entries
        if !data.offsets.isEmpty {
            let offsets = data.offsets
            guard offsets.count >= entries else { throw missingOffsets(data) }
            return { (entry: Int) throws(FormatError) -> Int in entry >= entries ? border : Int(offsets[entry]) - keyLength }
        }
        // Behind the data: a count, then an offset an entry.
        guard data.trailing, bytes.count - border >= 4 + 4 * entries else { throw missingOffsets(data) }
        let base = bytes.baseAddress! + border + 4
        return { (entry: Int) throws(FormatError) -> Int in
            entry >= entries ? border : Int(Int32(bigEndian: base.loadUnaligned(fromByteOffset: 4 * entry, as: Int32.self))) - keyLength
        }
    }

    private func missingOffsets(_ data: BasketData) -> FormatError {
        FormatError(.unsupported, "a basket of varying entries has no entry offsets", expected: "\(data.entries) offsets")
    }

    private mutating func reserve(_ bytes: Int) {
        guard used + bytes > values.capacity else { return }
        let larger = AlignedBuffer(capacity: max(used + bytes, 2 * values.capacity))
        larger.pointer.copyMemory(from: values.pointer, byteCount: used)
        values = larger
    }

    private mutating func copy(_ source: UnsafeRawPointer, _ count: Int) {
        let target = values.pointer + used
        switch type.size {
        case 1: target.copyMemory(from: source, byteCount: count)
        case 2: ck_swap16(target, source, count)
        case 4: ck_swap32(target, source, count)
        default: ck_swap64(target, source, count)
        }
        used += count * type.size
    }
}
