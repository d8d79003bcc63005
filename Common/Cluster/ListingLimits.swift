/// The bounds of what a job's patterns may name.
package enum ListingLimits {
    /// Files that one pattern, directory or list names.
    package static let files = 250_000
    /// Bytes of all names of these files, URLs and logical ones: so that the list fits one message.
    package static let totalBytes = 40 << 20
    /// Bytes of one URL or logical name.
    package static let nameBytes = 4096
    /// Bytes of a list file or replica list.
    package static let listBytes = 64 << 20
    /// Files of all patterns of one job.
    package static let jobFiles = 1_000_000
    /// Directories that one pattern leads into.
    package static let directories = 100_000
}
