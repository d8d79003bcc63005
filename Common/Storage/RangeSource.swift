package import Bytes
import Cluster

/// A file somewhere, read by ranges. Calls block; they are made from a worker's own threads.
package protocol RangeSource: AnyObject, Sendable {
    var url: String { get }
    /// Bytes in the file.
    var size: Int { get }
    /// `host:port` of the server that gives the bytes, where the source knows it: behind a redirector not the URL's.
    var server: String? { get }
    /// Brings what is missing. After an error, what came before it is there.
    func read(into fetch: RangeFetch) throws(InputError)
}

extension RangeSource {
    package var server: String? { nil }

    /// Reads ranges.
    /// - Throws: `InputError` where they lie outside the file or cannot be read.
    package func read(_ ranges: [ByteRange]) throws(InputError) -> FetchedRanges {
        let fetch = RangeFetch(ranges)
        try read(into: fetch)
        return fetch.finish()
    }

    func check(_ ranges: [ByteRange]) throws(InputError) {
        for range in ranges
        where range.offset < 0 || range.length < 0 || range.offset > size || range.length > size - range.offset {
            throw InputError(
                .truncated, "the file is shorter than what it points to", file: url, offset: range.offset,
                expected: "\(range.length) bytes there", found: "a file of \(size) bytes",
                hint: "It was probably cut while being copied: fetch it again.")
        }
    }
}

/// Opens whatever kind of source the URL names: `root://`, `roots://`, `http://`, `https://`, `dav://`, `davs://`,
/// `file:` or a path.
/// - Parameter site: the site's limits, credentials and counters; by default a fresh one.
package func openSource(
    _ url: String, at site: SiteAccess? = nil, avoiding servers: [String] = []
) throws(InputError) -> any RangeSource {
    let location = StorageURL(url)
    let site = site ?? SiteAccess(location.endpoint)
    switch location.kind {
    case .local(let path): return try FileSource(path: path, buffers: site.resources.buffers)
    case .xrootd: return try XrootdSource(url: url, site: site, avoiding: servers)
    case .http: return try HTTPSource(url: url, site: site)
    case .logical:
        throw InputError(
            .missing, "no site of the catalogue has this logical name", file: url,
            expected: "a site with a prefix in the sites file",
            hint: "Start the coordinator with --sites, or name a site's URL.")
    case .unsupported(let scheme):
        throw InputError(
            .unsupported, "no reader for \(scheme):// URLs", file: url,
            expected: "root://, roots://, http://, https://, davs://, file: or a local path",
            hint: "Copy the file to a site that one of these reaches.")
    }
}
