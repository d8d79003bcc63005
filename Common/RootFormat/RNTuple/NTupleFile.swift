import Bytes
import CCodecs
import Columns
import Storage

extension DirectoryKey {
    package var isNTuple: Bool { key.className == "ROOT::RNTuple" || key.className == "ROOT::Experimental::RNTuple" }
}

extension RootFile {
    /// Reads an RNTuple's metadata: its anchor, header, footer and page lists.
    func nTuple(_ entry: DirectoryKey) throws(InputError) -> TreeDescription {
        guard entry.key.className == "ROOT::RNTuple" else {
            throw InputError(
                .unsupported, "an RNTuple from before version 1.0 of the format is not read",
                found: entry.key.className,
                hint: "Write it again with ROOT 6.34 or later.")
        }
        let anchor = try NTupleAnchor(try payload(entry.key))
        var schema = NTupleSchema()
        let headerBytes = try envelope(anchor.header, type: 1, "header")
        var header = ByteReader(headerBytes.span.bytes)
        try header.skip(8)
        try Self.checkFeatures(&header)
        for _ in 0..<3 { _ = try header.ntupleString() }
        try schema.add(&header)
        let links = try pageLists(anchor) { (extra) throws(InputError) in try schema.add(&extra) }
        var clusters: [NTuplePages.Cluster] = []
        var seen: Set<Int> = []
        for link in links {
            guard seen.insert(link.range.offset).inserted else {
                throw InputError(.corrupt, "a page list is named twice", offset: link.range.offset)
            }
            let bytes = try envelope(link, type: 3, "page list")
            var reader = ByteReader(bytes.span.bytes)
            try reader.skip(8)
            clusters += try NTuplePages.read(&reader, columns: schema.columns.count)
        }
        clusters.sort { $0.firstEntry < $1.firstEntry }
        var entries: Int64 = 0
        for cluster in clusters {
            guard cluster.firstEntry == entries else {
                throw InputError(
                    .corrupt, "clusters do not follow each other", expected: "first entry \(entries)",
                    found: "\(cluster.firstEntry)")
            }
            entries += cluster.entries
            guard entries <= TreeDescription.maxEntries else {
                throw InputError(.limit, "the RNTuple's number of entries is not plausible", found: "\(entries)")
            }
        }
        let pages = NTuplePages(columns: schema.columns, clusters: clusters)
        return TreeDescription(
            path: entry.path, title: entry.key.title, entries: entries,
            branches: NTupleReading(schema: schema, pages: pages, entries: entries).branches(),
            clusterBoundaries: [0] + clusters.filter { $0.entries > 0 }.map { $0.firstEntry + $0.entries })
    }

    /// Reads the footer: where the page lists are.
    /// - Parameter schema: gets the reader at the schema's extension, where there is one.
    func pageLists(
        _ anchor: NTupleAnchor, schema: (inout ByteReader) throws(InputError) -> Void = { (_) in }
    ) throws(InputError) -> [NTupleAnchor.Link] {
        let bytes = try envelope(anchor.footer, type: 2, "footer")
        var footer = ByteReader(bytes.span.bytes)
        try footer.skip(8)
        try Self.checkFeatures(&footer)
        try footer.skip(8)
        let frame = try NTupleFrame(&footer)
        if frame.end > footer.position { try schema(&footer) }
        try footer.seek(to: frame.end)
        return try Self.groups(&footer)
    }

    private static func checkFeatures(_ reader: inout ByteReader) throws(InputError) {
        let flags = try reader.little(UInt64.self)
        guard flags == 0 else {
            throw InputError(
                .unsupported, "the RNTuple needs features that this version does not have",
                found: "feature flags \(String(flags, radix: 16))")
        }
    }

    private static func groups(_ reader: inout ByteReader) throws(InputError) -> [NTupleAnchor.Link] {
        let list = try NTupleFrame(&reader)
        var links: [NTupleAnchor.Link] = []
        for _ in 0..<list.items {
            let frame = try NTupleFrame(&reader)
            try reader.skip(20)
            let length = try reader.little(UInt64.self)
            guard length <= 1 << 40 else {
                throw InputError(.badLength, "a page list's length is not plausible", found: "\(length)")
            }
            links.append(.init(range: try NTuplePages.locator(&reader), length: Int(length)))
            try reader.seek(to: frame.end)
        }
        return links
    }

    /// Fetches, inflates and checks an envelope.
    private func envelope(_ link: NTupleAnchor.Link, type: UInt64, _ name: String) throws(InputError) -> [UInt8] {
        do throws(InputError) {
            let stored = try bytes(link.range)
            let content = try Inflater.inflate(stored, to: link.length)
            var reader = ByteReader(content.span.bytes)
            let head = try reader.little(UInt64.self)
            guard head & 0xFFFF == type, head >> 16 == UInt64(content.count), content.count >= 16 else {
                throw InputError(
                    .corrupt, "this is no such envelope", expected: "type \(type), \(content.count) bytes",
                    found: "type \(head & 0xFFFF), \(head >> 16)")
            }
            try reader.seek(to: content.count - 8)
            let expected = try reader.little(UInt64.self)
            let found = content.withUnsafeBytes { XXH3_64bits($0.baseAddress, content.count - 8) }
            guard expected == found else {
                throw InputError(
                    .badChecksum, "its checksum is wrong", expected: String(expected, radix: 16),
                    found: String(found, radix: 16),
                    hint: "The file is damaged: fetch it again or use another replica.")
            }
            return content
        } catch {
            throw error.located(object: "the RNTuple's \(name)")
        }
    }
}
