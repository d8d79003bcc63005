import Bytes
import CKernels
import Columns

/// Collects the values of one column of fixed or counted entries from its baskets, in the machine's byte order.
struct ColumnBuilder {
    private let type: DataType
    private let shape: Shape
    private let entries: Int
    private let layout: BranchStorage.Layout
    private let pool: BufferPool
    private var values: AlignedBuffer
    private var used = 0
    private var offsets: AlignedBuffer?
    private var filled = 0
    private var items: Int64 = 0

    init(type: DataType, shape: Shape, entries: Int, layout: BranchStorage.Layout, pool: BufferPool) {
        self.type = type
        self.shape = shape
        self.entries = entries
        self.layout = layout
        self.pool = pool
        // A first guess; what damaged metadata announce beyond it is never allocated before it was read.
        let (size, overflow) = (entries * type.size).multipliedReportingOverflow(by: shape.fixedValues ?? 1)
        values = pool.take(overflow ? 0 : min(size, 16 << 20))
        offsets = shape.isJagged ? pool.take(min(entries + 1, 1 << 17) * 8) : nil
        offsets?.values(of: Int64.self, count: 1)[0] = 0
    }

    func finish() -> Column {
        Column(
            type: type, shape: shape, entries: entries, count: used / type.size, values: values,
            offsets: offsets.map { [.init(buffer: $0, count: entries + 1)] } ?? [], pool: pool)
    }

    /// Adds the entries `local` of a basket.
    /// - Parameter counts: items of each of the basket's entries, where their counter was read.
    mutating func append(
        _ data: BasketData, _ local: Range<Int>, counts: UnsafeBufferPointer<Int64>? = nil
    ) throws(InputError) {
        guard layout.type == type else {
            throw InputError(.corrupt, "a branch is stored as another type than it is read")
        }
        guard data.border <= data.bytes.count, local.upperBound <= data.entries else {
            throw InputError(
                .corrupt, "a basket is shorter than its header declares", expected: "\(data.border) bytes",
                found: "\(data.bytes.count)")
        }
        if case .counted = layout, data.offsets != nil || counts != nil { reserveOffsets(local.count) }
        switch layout {
        case .fixed(let offset, let entrySize, let encoding): try appendFixed(data, local, offset, entrySize, encoding)
        case .counted(let header, let encoding):
            if let offsets = data.offsets {
                let before = filled
                try appendCounted(data, offsets, local, header, encoding)
                if let counts { try check(counts, local, since: before) }
            } else {
                try appendCounted(data, counts, local, encoding)
            }
        case .recipe: throw InputError(.unsupported, "this column is read by its recipe")
        }
    }

    private mutating func appendFixed(
        _ data: BasketData, _ local: Range<Int>, _ offset: Int, _ size: Int, _ encoding: Encoding
    ) throws(InputError) {
        let width = shape.itemValues
        guard size > 0, data.entries <= data.border / size else {
            throw InputError(
                .corrupt, "a basket is too short for its entries", expected: "\(data.entries) of \(size) bytes",
                found: "\(data.border) bytes")
        }
        guard !local.isEmpty else { return }
        reserve(local.count * width * type.size)
        let base = data.bytes.baseAddress!
        if size == width * encoding.size {
            add(encoding, base + local.lowerBound * size, local.count * width)
        } else {
            for entry in local { add(encoding, base + entry * size + offset, width) }
        }
    }

    private mutating func appendCounted(
        _ data: BasketData, _ offset: EntryOffsets, _ local: Range<Int>, _ header: Int, _ encoding: Encoding
    ) throws(InputError) {
        let itemSize = shape.itemValues * encoding.size
        guard !local.isEmpty else { return }
        let targets = offsets!.values(of: Int64.self, count: filled + local.count + 1)
        let first = offset[local.lowerBound]
        let last = offset[local.upperBound]
        guard first >= 0, last >= first, last <= data.border else {
            throw InputError(
                .corrupt, "entry offsets point outside their basket", expected: "0 to \(data.border)",
                found: "\(first) to \(last)")
        }
        reserve((last - first) / encoding.size * type.size)
        if header == 0, case .trailing(let stored) = offset.store, itemSize & (itemSize - 1) == 0 {
            return try appendUniform(data, stored, offset, local, itemSize, encoding)
        }
        let base = data.bytes.baseAddress!
        var start = first
        for entry in local {
            let end = offset[entry + 1]
            // A counted array of no items may have no bytes, nor a header.
            let begin = end == start ? end : start + header
            guard end >= begin, end <= data.border, (end - begin) % itemSize == 0 else {
                throw InputError(
                    .corrupt, "an entry's bytes are not whole items", offset: start,
                    expected: "a multiple of \(itemSize)", found: "\(end - begin)")
            }
            let count = (end - begin) / itemSize
            if header == 10 { try checkVectorHeader(data.bytes, at: start, count: count, empty: begin == start) }
            if header > 0 { add(encoding, base + begin, count * shape.itemValues) }
            items += Int64(count)
            filled += 1
            targets[filled] = items
            start = end
        }
        if header == 0 { add(encoding, base + first, (last - first) / encoding.size) }
    }

    /// Items of a power of two of bytes with stored offsets: all offsets at once, then all values at once.
    private mutating func appendUniform(
        _ data: BasketData, _ stored: UnsafeRawPointer, _ offset: EntryOffsets, _ local: Range<Int>, _ itemSize: Int,
        _ encoding: Encoding
    ) throws(InputError) {
        let targets = offsets!.values(of: Int64.self, count: filled + local.count + 1)
        let first = offset[local.lowerBound]
        let last = offset[local.upperBound]
        let inside = min(local.upperBound, data.entries - 1)
        let shift = itemSize.trailingZeroBitCount
        // The start of each entry but the first ends the one before it.
        let count = inside - local.lowerBound
        let wrong = ck_offsets(
            targets.baseAddress! + filled + 1, stored + 4 * (local.lowerBound + 1), count,
            Int64(first + offset.keyLength), Int64(last + offset.keyLength),
            Int32(shift), items)
        guard wrong == 0, (last - first) & (itemSize - 1) == 0 else {
            throw InputError(
                .corrupt, "entry offsets are not whole items, or fall back",
                expected: "rising by multiples of \(itemSize)",
                found: "others, between \(first) and \(last)")
        }
        let total = items + Int64((last - first) >> shift)
        if local.upperBound == data.entries { targets[filled + local.count] = total }
        filled += local.count
        items = total
        add(encoding, data.bytes.baseAddress! + first, (last - first) / encoding.size)
    }

    private mutating func appendCounted(
        _ data: BasketData, _ counts: UnsafeBufferPointer<Int64>?, _ local: Range<Int>, _ encoding: Encoding
    ) throws(InputError) {
        guard data.entries > 0 else { return }
        guard let counts, counts.count == data.entries else {
            throw InputError(
                .unsupported, "a basket of varying entries has no entry offsets", expected: "\(data.entries) offsets")
        }
        let itemSize = shape.itemValues * encoding.size
        let targets = offsets!.values(of: Int64.self, count: filled + local.count + 1)
        var start = 0
        for entry in 0..<local.upperBound {
            let (length, overflow) = Int(counts[entry]).multipliedReportingOverflow(by: itemSize)
            guard !overflow, length >= 0, length <= data.border - start else {
                throw InputError(
                    .corrupt, "the counter asks for more items than the basket has", offset: start,
                    found: "\(counts[entry])")
            }
            if entry >= local.lowerBound {
                reserve(length / encoding.size * type.size)
                add(encoding, data.bytes.baseAddress! + start, length / encoding.size)
                items += counts[entry]
                filled += 1
                targets[filled] = items
            }
            start += length
        }
        guard local.upperBound < data.entries || start == data.border else {
            throw InputError(
                .corrupt, "the counter's items do not fill the basket", expected: "\(data.border) bytes",
                found: "\(start)")
        }
    }

    /// The entries `local`, added since `first`, must have as many items as their counter has.
    private func check(
        _ counts: UnsafeBufferPointer<Int64>, _ local: Range<Int>, since first: Int
    ) throws(InputError) {
        guard local.upperBound <= counts.count else {
            throw InputError(.corrupt, "the counter has fewer entries than its array")
        }
        let ends = offsets!.values(of: Int64.self, count: filled + 1)
        for (index, entry) in local.enumerated() {
            let found = ends[first + index + 1] - ends[first + index]
            guard found == counts[entry] else {
                throw InputError(
                    .corrupt, "an entry has another number of items than its counter has",
                    expected: "\(counts[entry])", found: "\(found)",
                    hint:
                        "The baskets may be of another version of the class than the tree describes (hadd joins them).")
            }
        }
    }

    private func checkVectorHeader(
        _ bytes: UnsafeRawBufferPointer, at start: Int, count: Int, empty: Bool
    ) throws(InputError) {
        guard !empty else { return }
        let version = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: start + 4, as: UInt16.self))
        guard version & 0x4000 == 0 else {
            throw InputError(.unsupported, "member-wise numbers are not read", offset: start)
        }
        let announced = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: start + 6, as: UInt32.self))
        guard Int(announced) == count else {
            throw InputError(
                .corrupt, "a vector's length contradicts its bytes", offset: start, expected: "\(count)",
                found: "\(announced)")
        }
    }

    /// Room for the offsets of so many entries more, whose bytes were seen.
    private mutating func reserveOffsets(_ count: Int) {
        guard let held = offsets, (filled + 1 + count) * 8 > held.capacity else { return }
        let larger = pool.take(max((filled + 1 + count) * 8, 2 * held.capacity))
        larger.pointer.copyMemory(from: held.pointer, byteCount: (filled + 1) * 8)
        pool.give(held)
        offsets = larger
    }

    private mutating func reserve(_ bytes: Int) {
        guard used + bytes > values.capacity else { return }
        let larger = pool.take(max(used + bytes, 2 * values.capacity))
        larger.pointer.copyMemory(from: values.pointer, byteCount: used)
        pool.give(values)
        values = larger
    }

    private mutating func add(_ encoding: Encoding, _ source: UnsafeRawPointer, _ count: Int) {
        encoding.decode(source, count, to: values.pointer + used)
        used += count * type.size
    }
}
