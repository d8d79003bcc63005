import Bytes
import Storage

/// The pages of one RNTuple: for each cluster and column.
final class NTuplePages: Sendable {
    struct Page: Sendable, Equatable {
        /// Elements.
        var count: Int
        /// The bytes in the file, without the checksum.
        var range: ByteRange
        /// Eight bytes of XXH3 follow the page.
        var hasChecksum: Bool
    }

    struct ClusterColumn: Sendable {
        var pages: [Page]
        /// Another representation of the field holds its data in this cluster.
        var isSuppressed: Bool

        var elements: Int { pages.reduce(0) { $0 + $1.count } }
    }

    struct Cluster: Sendable {
        var firstEntry: Int64
        var entries: Int64
        fileprivate(set) var columns: [ClusterColumn]

        /// Columns that were added after this cluster have no pages in it.
        func column(_ index: Int) -> ClusterColumn {
            index < columns.count ? columns[index] : ClusterColumn(pages: [], isSuppressed: false)
        }
    }

    let columns: [NTupleSchema.Column]
    let clusters: [Cluster]

    init(columns: [NTupleSchema.Column], clusters: [Cluster]) {
        self.columns = columns
        self.clusters = clusters
    }

    /// The clusters that hold any of `range`.
    func indices(_ range: Range<Int64>) -> Range<Int> {
        let lower = clusters.partitioningIndex { $0.firstEntry + $0.entries > range.lowerBound }
        let upper = clusters.partitioningIndex { $0.firstEntry >= range.upperBound }
        return lower..<max(lower, upper)
    }

    /// Reads a page list: cluster summaries, then for each cluster and column its pages.
    static func read(_ reader: inout ByteReader, columns: Int) throws(InputError) -> [Cluster] {
        try reader.skip(8)
        var clusters: [Cluster] = []
        let summaries = try NTupleFrame(&reader)
        for _ in 0..<summaries.items {
            let frame = try NTupleFrame(&reader)
            let first = try reader.little(UInt64.self)
            let packed = try reader.little(UInt64.self)
            guard packed >> 56 & 1 == 0 else { throw InputError(.unsupported, "sharded clusters are not read") }
            guard first <= 1 << 40, packed & 0xFF_FFFF_FFFF_FFFF <= 1 << 40 else {
                throw InputError(.limit, "a cluster's entries are not plausible")
            }
            clusters.append(
                Cluster(firstEntry: Int64(first), entries: Int64(packed & 0xFF_FFFF_FFFF_FFFF), columns: []))
            try reader.seek(to: frame.end)
        }
        try reader.seek(to: summaries.end)
        let outer = try NTupleFrame(&reader)
        guard outer.items == clusters.count else {
            throw InputError(
                .corrupt, "a page list is for another number of clusters", expected: "\(clusters.count)",
                found: "\(outer.items)")
        }
        for index in clusters.indices {
            let list = try NTupleFrame(&reader)
            guard list.items <= columns else {
                throw InputError(
                    .corrupt, "a cluster has more columns than the schema", expected: "\(columns)",
                    found: "\(list.items)")
            }
            for _ in 0..<list.items { clusters[index].columns.append(try column(&reader)) }
            try reader.seek(to: list.end)
        }
        return clusters
    }

    private static func column(_ reader: inout ByteReader) throws(InputError) -> ClusterColumn {
        let frame = try NTupleFrame(&reader)
        var pages: [Page] = []
        pages.reserveCapacity(frame.items)
        var total = 0
        for _ in 0..<frame.items {
            let raw = try reader.little(Int32.self)
            total += Int(raw.magnitude)
            guard total <= 1 << 40 else {
                throw InputError(.limit, "a column's elements are not plausible", found: "\(total)")
            }
            pages.append(Page(count: Int(raw.magnitude), range: try locator(&reader), hasChecksum: raw < 0))
        }
        let offset = try reader.little(Int64.self)
        try reader.seek(to: frame.end)
        return ClusterColumn(pages: pages, isSuppressed: offset < 0)
    }

    static func locator(_ reader: inout ByteReader) throws(InputError) -> ByteRange {
        let start = reader.position
        let size = try reader.little(Int32.self)
        var length = UInt64(size.magnitude)
        var offset: UInt64
        if size >= 0 {
            offset = try reader.little(UInt64.self)
        } else {
            guard UInt32(bitPattern: size) >> 24 & 0x7F == 1 else {
                throw InputError(.unsupported, "an RNTuple that is not all in one file is not read", offset: start)
            }
            length = try reader.little(UInt64.self)
            offset = try reader.little(UInt64.self)
            try reader.seek(to: start + Int(UInt32(bitPattern: size) & 0xFFFF))
        }
        guard length <= 1 << 40, offset <= 1 << 60 else {
            throw InputError(.badLength, "a locator is not plausible", offset: start)
        }
        return ByteRange(offset: Int(offset), length: Int(length))
    }
}
