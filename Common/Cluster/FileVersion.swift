/// What distinguishes a local file's content from an earlier one under the same name, without reading it: a file that
/// is changed in place keeps its UUID, and may keep its size.
package struct FileVersion: Codable, Sendable, Hashable, CustomStringConvertible {
    /// The machine on which the file was looked at.
    package var machine: String
    package var bytes: Int
    /// The time of the last change, nanoseconds since 1970.
    package var modified: Int64

    package init(machine: String, bytes: Int, modified: Int64) {
        self.machine = machine
        self.bytes = bytes
        self.modified = modified
    }

    /// Whether it is another content for sure. Another machine's file may be a copy with a time of its own.
    package func contradicts(_ other: FileVersion) -> Bool { machine == other.machine && self != other }

    package var description: String { "\(bytes) bytes, modified at \(modified) ns" }
}
