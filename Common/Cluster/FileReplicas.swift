/// One content, and the URLs that should give it.
package struct FileReplicas: Codable, Sendable, Hashable {
    /// The one that the user named first.
    package var urls: [String]
    /// Bytes; nil where nobody knows yet.
    package var size: Int?
    /// In hexadecimal, as a replica list or a site's own record has it.
    package var adler32: String?
    /// What the replicas have in common: files are ordered by it, and the bundle names them so.
    package var logicalName: String

    package init(_ urls: [String], logicalName: String? = nil, size: Int? = nil, adler32: String? = nil) {
        self.urls = urls
        self.logicalName = logicalName ?? StorageURL(urls.first ?? "").path
        self.size = size
        self.adler32 = adler32
    }

    package init(_ url: String) { self.init([url]) }

    package var url: String { urls.first ?? "" }
}
