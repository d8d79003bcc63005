/// A pattern for the names of branches and features, in job files and on the command line: `*` stands for any
/// characters, also none, and `?` for one; every other character, brackets too, stands for itself. The pattern fits the
/// whole name.
package struct NamePattern: Sendable, Hashable {
    private let pattern: [UInt8]

    package init(_ pattern: String) { self.pattern = Array(pattern.utf8) }

    /// Whether the pattern fits the whole of a name, compared byte by byte in UTF-8.
    package func matches(_ name: String) -> Bool {
        let name = Array(name.utf8)
        var (n, p) = (0, 0)
        // Where to go on after a mismatch: behind the last `*`, which then stands for one character more.
        var star: (pattern: Int, name: Int)?
        while n < name.count {
            if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
                star = (p, n)
                p += 1
            } else if p < pattern.count, pattern[p] == name[n] || pattern[p] == UInt8(ascii: "?") {
                p += 1
                n += 1
            } else if let last = star {
                star = (last.pattern, last.name + 1)
                p = last.pattern + 1
                n = last.name + 1
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
