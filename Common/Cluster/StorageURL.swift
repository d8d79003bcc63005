/// The parts of a URL that matter to reading.
package struct StorageURL: Sendable {
    /// How what the URL names is read.
    package enum Kind: Sendable, Equatable {
        case local(path: String)
        case xrootd, http
        /// A logical name without a site: any site of the catalogue that has the file will do.
        case logical
        case unsupported(scheme: String)
    }

    package let kind: Kind
    /// `root://host:port`; `local` for files of the reader's own machine; `lfn` for logical names.
    package let endpoint: String
    /// The path at the endpoint, with one slash in front.
    package let path: String

    package init(_ url: String) {
        if url.hasPrefix("lfn:") {
            (kind, endpoint, path) = (.logical, "lfn", Self.single(url.dropFirst(4)))
            return
        }
        guard !url.hasPrefix("file:"), let marker = url.firstRange(of: "://") else {
            var local = url.hasPrefix("file:") ? url.dropFirst(5) : url[...]
            // file://host/path: the host is this machine.
            if url.hasPrefix("file://") { local = local.dropFirst(2).drop { $0 != "/" } }
            let name = local.hasPrefix("/") ? Self.normalised(String(local)) : String(local)
            (kind, endpoint, path) = (.local(path: name), "local", name)
            return
        }
        let scheme = url[..<marker.lowerBound]
        let rest = url[marker.upperBound...]
        // Whoever else reads the URL must see the same host: it ends where any of them would end it.
        let slash = rest.firstIndex { "/?#\\".contains($0) } ?? rest.endIndex
        // A user's name in front of the host is not part of the endpoint.
        let host = rest[..<slash].split(separator: "@", omittingEmptySubsequences: false).last ?? ""
        let plain = host.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: ".:_-[]".utf8.contains(byte)
            }
        }
        path = Self.single(Self.withoutQuery(rest[slash...]))
        endpoint = "\(scheme)://\(host)"
        switch scheme {
        case _ where !plain: kind = .unsupported(scheme: String(scheme))
        case "root", "roots", "xroot", "xroots": kind = .xrootd
        case "http", "https", "dav", "davs": kind = .http
        default: kind = .unsupported(scheme: String(scheme))
        }
    }

    /// Whether what goes there is encrypted, and the host's name checked.
    package var isEncrypted: Bool { ["roots", "xroots", "https", "davs"].contains { endpoint.hasPrefix($0 + "://") } }

    /// The URL of a path at an endpoint: absolute paths of XRootD have two slashes.
    package static func join(_ endpoint: String, _ path: String) -> String {
        StorageURL(endpoint + "/").kind == .xrootd ? endpoint + "/" + path : endpoint + path
    }

    /// `host`, without a port.
    package var host: String {
        guard let marker = endpoint.firstRange(of: "://") else { return endpoint }
        return Self.host(of: String(endpoint[marker.upperBound...]))
    }

    /// Whether a server, `host:port`, is the one that the URL names.
    package func isAt(_ server: String) -> Bool {
        guard let marker = endpoint.firstRange(of: "://") else { return false }
        let own = String(endpoint[marker.upperBound...])
        let port = own.drop { $0 != "]" }.isEmpty ? own.drop { $0 != ":" } : own.drop { $0 != "]" }.dropFirst()
        return server == own || port.isEmpty && server == own + ":1094"
    }

    /// The host of `host:port` or `[address]:port`.
    package static func host(of address: String) -> String {
        if address.hasPrefix("[") { return String(address.prefix { $0 != "]" }.dropFirst()) }
        return String(address.prefix { $0 != ":" })
    }

    /// A query has `key=value`; any other question mark is a pattern's.
    private static func withoutQuery(_ path: Substring) -> Substring {
        guard let equals = path.firstIndex(of: "="), let mark = path[..<equals].lastIndex(of: "?"),
            !path[mark..<equals].contains("/")
        else { return path }
        return path[..<mark]
    }

    /// An absolute path without `.`, `..`, doubled slashes and a slash at its end. What its links would make of `..` is
    /// not looked at: whoever opens the path opens this one.
    package static func normalised(_ path: String) -> String {
        let isNormal =
            path.firstRange(of: "//") == nil && path.firstRange(of: "/.") == nil
            && (path.utf8.last != UInt8(ascii: "/") || path == "/")
        if isNormal { return path }
        var parts: [Substring] = []
        for part in path.split(separator: "/") {
            switch part {
            case ".": break
            case "..": _ = parts.popLast()
            default: parts.append(part)
            }
        }
        return "/" + parts.joined(separator: "/")
    }

    private static func single(_ path: Substring) -> String { "/" + path.drop { $0 == "/" } }
}

/// The path that a URL names on the reader's own machine; nil where it names a site.
package func localPath(of url: String) -> String? {
    guard case .local(let path) = StorageURL(url).kind else { return nil }
    return path
}

/// Whether an absolute local path is one of the directories that a worker declared, or lies below one, by its name
/// alone: `..` counts as it is written. Whoever opens it looks once more where its links have led.
package func mayRead(_ path: String, below roots: [String]) -> Bool {
    guard path.utf8.first == UInt8(ascii: "/"), !hasControlCharacter(path) else { return false }
    let path = StorageURL.normalised(path)
    return roots.contains { lies(path, below: StorageURL.normalised($0)) }
}

/// Whether a path is a directory or lies below it, compared byte by byte; both are normalised.
package func lies(_ path: String, below directory: String) -> Bool {
    if directory == "/" || path.utf8.elementsEqual(directory.utf8) { return true }
    return path.utf8.starts(with: directory.utf8)
        && path.utf8.dropFirst(directory.utf8.count).first == UInt8(ascii: "/")
}

/// Whether a name has characters that no path or URL needs and that do harm: NUL, at which C ends a text, line ends,
/// and what terminals act on.
package func hasControlCharacter(_ name: String) -> Bool {
    var previous: UInt8 = 0
    for byte in name.utf8 {
        if byte < 0x20 || byte == 0x7F || previous == 0xC2 && byte < 0xA0 { return true }
        previous = byte
    }
    return false
}

/// A name as people may see it: control characters are written as `\u{1b}`.
package func withoutControlCharacters(_ name: String) -> String {
    guard hasControlCharacter(name) else { return name }
    var text = String.UnicodeScalarView()
    for scalar in name.unicodeScalars {
        if scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value) {
            text += "\\u{\(String(scalar.value, radix: 16))}".unicodeScalars
        } else {
            text.append(scalar)
        }
    }
    return String(text)
}

extension String {
    /// The range of the first occurrence of a text, compared byte by byte in UTF-8; nil where there is none.
    package func firstRange(of needle: String) -> Range<String.Index>? {
        let (text, wanted) = (utf8, Array(needle.utf8))
        var start = text.startIndex
        while start < text.endIndex {
            if text[start...].starts(with: wanted) { return start..<text.index(start, offsetBy: wanted.count) }
            start = text.index(after: start)
        }
        return nil
    }
}
