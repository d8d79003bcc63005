package import Bytes
import Storage

/// How a block of a stored record is compressed, by the two letters that it begins with.
package enum CompressionMethod: UInt16, Sendable {
    /// ZL
    case zlib = 0x5A4C
    /// CS: ROOT before 5.12, deflate without zlib's header.
    case old = 0x4353
    /// L4
    case lz4 = 0x4C34
    /// ZS
    case zstd = 0x5A53
    /// XZ
    case lzma = 0x585A

    /// ROOT's word for it.
    package var name: String {
        switch self {
        case .zlib: "zlib"
        case .old: "old"
        case .lz4: "lz4"
        case .zstd: "zstd"
        case .lzma: "lzma"
        }
    }
}

extension RootFile {
    /// How the data of a tree are compressed, as the first basket or page of its largest branches shows: a file's own
    /// setting is only what its writer meant for new records.
    /// - Returns: the methods' names in order, "none" among them for data stored as they are; nothing where no data
    ///   are stored.
    package func compression(of tree: TreeDescription) throws(InputError) -> [String] {
        let largest = tree.branches.sorted { $0.compressedBytes > $1.compressedBytes }.prefix(16)
        let heads = largest.compactMap(\.firstRecord)
        guard !heads.isEmpty else { return [] }
        let fetched = try source.read(heads.map(\.range))
        var names: Set<String> = []
        for (index, head) in heads.enumerated() {
            if let name = try head.compression(fetched.bytes(index)) { names.insert(name) }
        }
        return names.sorted()
    }
}

/// The first bytes of a stored basket or page.
private struct RecordHead {
    enum Kind {
        case basket
        /// A page has no header of its own.
        case page(isPlain: Bool)
    }

    let range: ByteRange
    let kind: Kind

    /// The method's name; nil where the bytes do not show it.
    func compression(_ bytes: [UInt8]) throws(InputError) -> String? {
        var start = 0
        switch kind {
        case .page(let isPlain): if isPlain { return "none" }
        case .basket:
            var reader = ByteReader(bytes.span.bytes)
            let key = try BasketKey(&reader)
            if key.objectLength == key.totalLength - key.headerLength { return "none" }
            start = key.headerLength
        }
        guard bytes.count >= start + 2 else { return nil }
        return CompressionMethod(rawValue: UInt16(bytes[start]) << 8 | UInt16(bytes[start + 1]))?.name
    }
}

extension BranchDescription {
    /// The head of its first basket or page in the file; nil where it has none.
    fileprivate var firstRecord: RecordHead? {
        switch storage {
        case .baskets(let store, _):
            for case .stored(let offset, let length) in store.baskets.lazy.map(\.location) {
                return RecordHead(range: ByteRange(offset: offset, length: min(length, 2048)), kind: .basket)
            }
        case .pages(let column):
            for cluster in column.pages.clusters {
                for physical in column.leafColumns {
                    guard let page = cluster.column(physical).pages.first(where: { $0.range.length > 0 }) else {
                        continue
                    }
                    let plain = column.pages.columns[physical].pageSize(page.count)
                    return RecordHead(
                        range: ByteRange(offset: page.range.offset, length: min(page.range.length, 9)),
                        kind: .page(isPlain: plain == page.range.length))
                }
            }
        }
        return nil
    }
}
