import Bytes

/// `length` bytes from `offset` of a file.
package struct ByteRange: Hashable, Sendable {
    package var offset: Int
    package var length: Int

    package init(offset: Int, length: Int) {
        self.offset = offset
        self.length = length
    }

    package var end: Int { offset + length }
}

/// The bytes of the ranges that were asked for, in the order asked. They live as long as this object.
package final class FetchedRanges: @unchecked Sendable {
    package let slices: [UnsafeRawBufferPointer]
    /// Bytes that travelled, gaps included.
    package let transferred: Int
    private let owners: [AnyObject]
    private let buffer: AlignedBuffer?
    /// Where the buffer goes when it is no longer used.
    private let pool: BufferPool?

    init(slices: [UnsafeRawBufferPointer], transferred: Int, owners: [AnyObject]) {
        self.slices = slices
        self.transferred = transferred
        self.owners = owners
        buffer = nil
        pool = nil
    }

    init(slices: [UnsafeRawBufferPointer], transferred: Int, buffer: AlignedBuffer, pool: BufferPool) {
        self.slices = slices
        self.transferred = transferred
        owners = []
        self.buffer = buffer
        self.pool = pool
    }

    deinit {
        if let pool, let buffer { pool.give(buffer) }
    }

    package func bytes(_ index: Int) -> [UInt8] { withExtendedLifetime(self) { [UInt8](slices[index]) } }
}

/// A file somewhere, read by ranges. Calls block; they are made from a worker's own threads.
package protocol RangeSource: AnyObject, Sendable {
    var url: String { get }
    /// Bytes in the file.
    var size: Int { get }
    func read(_ ranges: [ByteRange]) throws(FormatError) -> FetchedRanges
}

/// Limits of time and size that a source keeps.
package struct StorageOptions: Sendable {
    /// Seconds for an open, a stat or a listing.
    package var openTimeout: Int = 30
    /// Seconds for a read.
    package var readTimeout: Int = 60
    /// Ranges nearer than this are read as one, bytes.
    package var coalesceGap: Int = 32 << 10
    /// A coalesced read is no longer than this unless one range alone is, bytes.
    package var coalesceLimit: Int = 8 << 20
    /// Bytes in one vector read.
    package var requestLimit: Int = 64 << 20
    /// Vector reads of one file under way at once.
    package var requestsInFlight: Int = 4

    package init() {}
}

/// Opens whatever kind of source the URL names: `root://`, `http://`, `https://`, `dav://`, `davs://`, `file:` or a plain path.
package func openSource(_ url: String, options: StorageOptions = .init()) throws(FormatError) -> any RangeSource {
    switch StorageURL(url).kind {
    case .local(let path): try FileSource(path: path)
    case .xrootd: try XrootdSource(url: url, options: options)
    case .http: try HTTPSource(url: url, options: options)
    case .unsupported(let scheme):
        throw FormatError(
            .unsupported, "no reader for \(scheme):// URLs", file: url, expected: "root://, http://, https://, davs://, file: or a local path",
            hint: "Copy the file to a place that one of these reaches.")
    }
}

/// The parts of a URL that matter to reading.
package struct StorageURL: Sendable {
    package enum Kind: Sendable { case local(path: String), xrootd, http, unsupported(scheme: String) }

    package let kind: Kind
    /// `root://host:port`, or `local` for files of this machine.
    package let site: String
    /// The path on the site: what replicas have in common.
    package let logicalName: String

    package init(_ url: String) {
        guard let marker = url.firstRange(of: "://") else {
            let path = url.hasPrefix("file:") ? String(url.dropFirst(5)) : url
            kind = .local(path: path)
            site = "local"
            logicalName = path
            return
        }
        let scheme = url[..<marker.lowerBound]
        let rest = url[marker.upperBound...]
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let host = rest[..<slash]
        var path = rest[slash...]
        while path.hasPrefix("//") { path = path.dropFirst() }
        logicalName = String(path.prefix { $0 != "?" })
        switch scheme {
        case "file":
            kind = .local(path: String(path))
            site = "local"
        case "root", "roots", "xroot":
            kind = .xrootd
            site = "\(scheme)://\(host)"
        case "http", "https", "dav", "davs":
            kind = .http
            site = "\(scheme)://\(host)"
        default:
            kind = .unsupported(scheme: String(scheme))
            site = "\(scheme)://\(host)"
        }
    }
}

extension String {
    fileprivate func firstRange(of needle: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(needle) { return start..<index(start, offsetBy: needle.count) }
            start = index(after: start)
        }
        return nil
    }
}
