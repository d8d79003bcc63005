package import Bytes
package import Cluster

/// A file somewhere, read by ranges. Calls block; they are made from a worker's own threads.
package protocol RangeSource: AnyObject, Sendable {
    var url: String { get }
    /// Bytes in the file.
    var size: Int { get }
    /// `host:port` of the server that gives the bytes, where the source knows it: behind a redirector not the URL's.
    var server: String? { get }
    /// What distinguishes the content from an earlier one; nil where the source does not know it.
    var version: FileVersion? { get }
    /// Brings what is missing. After an error, what came before it is there.
    func read(into fetch: RangeFetch) throws(InputError)
}

extension RangeSource {
    package var server: String? { nil }
    package var version: FileVersion? { nil }

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
/// - Parameters:
///   - site: the site's limits, credentials and counters; by default a fresh one.
///   - local: which files of this machine may be read.
package func openSource(
    _ url: String, at site: SiteAccess? = nil, avoiding servers: [String] = [], local: LocalFiles = .all
) throws(InputError) -> any RangeSource {
    guard !hasControlCharacter(url) else {
        throw InputError(.input, "a URL has a control character", found: withoutControlCharacters(url))
    }
    let location = StorageURL(url)
    let site = site ?? SiteAccess(location.endpoint)
    switch location.kind {
    case .local(let path): return try FileSource(path: path, at: site, local: local)
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
