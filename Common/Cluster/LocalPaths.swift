/// The path that a URL names on the reader's own machine; nil where it names a site.
package func localPath(of url: String) -> String? {
    guard url.hasPrefix("file:") else { return url.contains("://") ? nil : url }
    var path = url.dropFirst("file:".count)
    // file://host/path: the host is this machine.
    if path.hasPrefix("//") { path = path.dropFirst(2).drop { $0 != "/" } }
    while path.hasPrefix("//") { path = path.dropFirst() }
    return String(path)
}

/// Whether a local path lies below one of the directories that a worker declared. A path that climbs (`..`) does not.
package func mayRead(_ path: String, below roots: [String]) -> Bool {
    guard !path.split(separator: "/").contains("..") else { return false }
    return roots.contains { path.hasPrefix($0.hasSuffix("/") ? $0 : $0 + "/") }
}
