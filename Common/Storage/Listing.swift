import Bytes
package import Cluster

/// The files that a pattern names, as they are found; within the bounds of `ListingLimits`.
package struct Listing: Sendable {
    /// Each once, in the order in which they were found.
    package private(set) var files: [FileReplicas] = []
    /// How often a file was named again, by a line of a list or by another pattern in it.
    package private(set) var repeated = 0
    /// What the user named, for errors.
    let pattern: String
    /// Nobody waits for the list any more.
    let isStopped: @Sendable () -> Bool
    private var bytes = 0
    private var directories = 0
    private var seen: Set<String> = []
    private var lines: Set<String> = []

    init(_ pattern: String, isStopped: @escaping @Sendable () -> Bool) {
        self.pattern = pattern
        self.isStopped = isStopped
    }

    /// A step of the work begins.
    /// - Throws: where nobody waits for the list any more.
    func step() throws(InputError) {
        if isStopped() {
            throw InputError(.input, "the listing was stopped, since nobody waits for it any more", file: pattern)
        }
    }

    /// A line of a list file, or a file of a replica list, is looked at.
    /// - Returns: false where the same was there before.
    mutating func begins(_ line: String) -> Bool {
        if lines.insert(line).inserted { return true }
        repeated += 1
        return false
    }

    /// A directory is listed.
    mutating func enter() throws(InputError) {
        try step()
        directories += 1
        guard directories <= ListingLimits.directories else {
            throw limit("leads into too many directories", "at most \(ListingLimits.directories)")
        }
    }

    /// Adds a file.
    mutating func add(_ file: FileReplicas) throws(InputError) {
        for name in file.urls + [file.logicalName] {
            guard name.utf8.count <= ListingLimits.nameBytes else {
                throw InputError(
                    .limit, "the name of a file is too long", file: pattern,
                    expected: "at most \(ListingLimits.nameBytes) bytes", found: "\(name.utf8.count): \(name)")
            }
            guard !hasControlCharacter(name) else {
                throw InputError(
                    .input, "the name of a file has a control character", file: pattern,
                    found: withoutControlCharacters(name))
            }
            bytes += name.utf8.count
        }
        guard seen.insert(file.logicalName + "\n" + file.url).inserted else { return repeated += 1 }
        files.append(file)
        guard files.count <= ListingLimits.files else {
            throw limit("names too many files", "at most \(ListingLimits.files)")
        }
        guard bytes <= ListingLimits.totalBytes else {
            throw limit("names files with too long names", "at most \(ListingLimits.totalBytes) bytes of names in all")
        }
    }

    private func limit(_ what: String, _ expected: String) -> InputError {
        InputError(
            .limit, "the pattern or list \(what)", file: pattern, expected: expected,
            hint: "Divide it: each pattern and each list file of a job is listed by itself.")
    }
}
