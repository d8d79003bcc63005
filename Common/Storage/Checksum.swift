import AsyncHTTPClient
package import Bytes
import CXrootd
import Cluster

/// A site's own checksum of a file.
package enum Checksum {
    /// Asks the site, which may have to read the whole file.
    /// - Returns: the adler32 in eight hexadecimal digits.
    package static func adler32(_ url: String, at site: SiteAccess) throws(InputError) -> String {
        switch StorageURL(url).kind {
        case .xrootd:
            var text = [CChar](repeating: 0, count: 256)
            let address = try site.credentials.sign(url)
            let result = xrootdResult {
                cxr_checksum(address, Int32(site.limits.openSeconds), &text, text.count, $0, $1)
            }
            guard result.code == CXR_OK else { throw storageError(result, "cannot get the file's checksum", url) }
            let words = text.prefix { $0 != 0 }.split(separator: 32).map {
                String(decoding: $0.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            }
            guard words.count == 2, words[0] == "adler32" else {
                throw InputError(
                    .unsupported, "the site has no adler32 of its files", file: url, expected: "adler32",
                    found: words.joined(separator: " "),
                    hint: "Leave out verify, or read at a site that has it.")
            }
            return padded(words[1])
        case .http: return padded(try HTTPSource.digest(url, at: site))
        case .local, .logical, .unsupported:
            throw InputError(
                .unsupported, "only sites can be asked for a checksum", file: url,
                expected: "root://, http:// or davs://")
        }
    }

    /// Two spellings of one checksum are equal.
    package static func padded(_ text: String) -> String {
        let digits = text.lowercased()
        return String(repeating: "0", count: max(0, 8 - digits.utf8.count)) + digits
    }
}
