import Bytes
import Cluster
import Glibc

/// Which names of a directory are wanted.
struct NameFilter: Sendable {
    /// A name with `*`, `?` and `[a-z]`.
    let pattern: String
    /// Whether a name that begins with a dot needs a pattern that does.
    var sparesHidden = true

    func matches(_ name: String) -> Bool { fnmatch(pattern, name, sparesHidden ? FNM_PERIOD : 0) == 0 }

    /// Adds a name that matches.
    /// - Parameter directory: for the error, where the name is not one that may be read, or there are too many.
    func add(_ name: String, to names: inout [String], of directory: String) throws(InputError) {
        guard !hasControlCharacter(name) else {
            throw InputError(
                .input, "the name of a file has a control character", file: directory,
                found: withoutControlCharacters(name),
                hint: "Rename the file, or write a pattern that leaves it out.")
        }
        guard names.count < ListingLimits.files else {
            throw InputError(
                .limit, "the directory has too many files", file: directory,
                expected: "at most \(ListingLimits.files) that match \(pattern)")
        }
        names.append(name)
    }
}
