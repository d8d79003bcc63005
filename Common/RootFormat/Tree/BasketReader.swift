import Bytes
import Columns

/// What is known of one inflated basket.
struct BasketData {
    let bytes: UnsafeRawBufferPointer
    /// Bytes of data; the offsets stand behind them.
    let border: Int
    let entries: Int
    /// The offsets at which entries begin; nil where the basket has none.
    let offsets: EntryOffsets?
}

/// The offsets of a basket's entries: big-endian behind the data, or streamed with an embedded basket.
struct EntryOffsets {
    enum Store {
        case trailing(UnsafeRawPointer)
        case streamed([Int32])
    }

    let store: Store
    /// What stored offsets count from.
    let keyLength: Int
    let entries: Int
    let border: Int

    /// Where an entry begins in the data; for `entries`, where the last one ends.
    @inline(__always)
    subscript(_ entry: Int) -> Int {
        guard entry < entries else { return border }
        switch store {
        case .trailing(let base):
            return Int(Int32(bigEndian: base.loadUnaligned(fromByteOffset: 4 * entry, as: Int32.self))) - keyLength
        case .streamed(let offsets): return Int(offsets[entry]) - keyLength
        }
    }
}

/// Opens baskets: checks their headers and inflates them. One per thread.
final class BasketReader {
    private let inflater = Inflater()
    private let pool: BufferPool

    init(pool: BufferPool) { self.pool = pool }

    /// - Parameters:
    ///   - stored: the basket's bytes in the file, where it has its own.
    ///   - body: gets the basket; it must not keep the bytes.
    func open(
        _ basket: BasketStore.Basket, stored: UnsafeRawBufferPointer?, _ body: (BasketData) throws(InputError) -> Void
    ) throws(InputError) {
        switch basket.location {
        case .embedded(let embedded): try open(embedded, body)
        case .stored:
            guard let stored else { throw InputError(.missing, "a basket was not fetched") }
            try open(stored, basket, body)
        }
    }

    private func open(_ embedded: EmbeddedBasket, _ body: (BasketData) throws(InputError) -> Void) throws(InputError) {
        let border = embedded.last - embedded.keyLength
        guard border >= 0, border <= embedded.data.count else {
            throw InputError(
                .corrupt, "a basket is shorter than its header declares", expected: "\(border) bytes",
                found: "\(embedded.data.count)")
        }
        let offsets: EntryOffsets? =
            embedded.offsets.count >= max(1, embedded.entries)
            ? EntryOffsets(
                store: .streamed(embedded.offsets), keyLength: embedded.keyLength, entries: embedded.entries,
                border: border) : nil
        var failure: InputError?
        embedded.data.withUnsafeBytes { bytes in
            do throws(InputError) {
                try body(BasketData(bytes: bytes, border: border, entries: embedded.entries, offsets: offsets))
            } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private func open(
        _ record: UnsafeRawBufferPointer, _ basket: BasketStore.Basket, _ body: (BasketData) throws(InputError) -> Void
    ) throws(InputError) {
        var reader = ByteReader(record.bytes)
        let key = try BasketKey(&reader)
        let header = try BasketHeader(&reader)
        guard key.totalLength == record.count, key.headerLength <= record.count else {
            throw InputError(
                .corrupt, "a basket's key contradicts its tree", expected: "\(record.count) bytes",
                found: "\(key.totalLength)")
        }
        guard header.entries == Int(basket.entries) else {
            throw InputError(
                .corrupt, "a basket holds another number of entries than its tree declares",
                expected: "\(basket.entries)",
                found: "\(header.entries)")
        }
        let border = header.last - key.headerLength
        guard border >= 0, border <= key.objectLength else {
            throw InputError(
                .corrupt, "a basket's data end outside it", expected: "0 to \(key.objectLength)", found: "\(border)")
        }
        let payload = UnsafeRawBufferPointer(rebasing: record[key.headerLength...])
        func use(_ bytes: UnsafeRawBufferPointer) throws(InputError) {
            // Behind the data: a count, then an offset an entry.
            let has = bytes.count - border >= 4 + 4 * header.entries && header.entries > 0
            let offsets: EntryOffsets? =
                has
                ? EntryOffsets(
                    store: .trailing(bytes.baseAddress! + border + 4), keyLength: key.headerLength,
                    entries: header.entries, border: border) : nil
            try body(BasketData(bytes: bytes, border: border, entries: header.entries, offsets: offsets))
        }
        if key.objectLength == payload.count { return try use(payload) }
        guard Inflater.isPlausible(key.objectLength, from: payload.count) else {
            throw InputError(
                .badLength, "a basket's inflated length is not plausible",
                found: "\(key.objectLength) from \(payload.count)")
        }
        let buffer = pool.take(key.objectLength)
        defer { pool.give(buffer) }
        let inflated = UnsafeMutableRawBufferPointer(start: buffer.pointer, count: key.objectLength)
        try inflater.inflate(payload, into: inflated)
        try use(UnsafeRawBufferPointer(inflated))
    }
}

/// The numbers in a basket's key; its names are of no use here, and reading them would allocate.
struct BasketKey {
    let totalLength: Int
    let objectLength: Int
    let headerLength: Int

    init(_ reader: inout ByteReader) throws(InputError) {
        totalLength = Int(try reader.i32())
        let version = Int(try reader.i16())
        objectLength = Int(try reader.i32())
        try reader.skip(4)
        headerLength = Int(try reader.i16())
        try reader.skip(version > 1000 ? 18 : 10)
        for _ in 0..<3 { try reader.skipRootString() }
        guard headerLength > 0, totalLength >= headerLength, objectLength >= 0 else {
            throw InputError(
                .corrupt, "a basket's lengths contradict each other",
                found: "\(totalLength) bytes, header \(headerLength), object \(objectLength)")
        }
    }
}
