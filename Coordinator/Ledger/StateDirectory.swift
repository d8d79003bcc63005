import Bytes
package import Foundation

/// A coordinator's directory: the ledger, the blobs, the tokens, the lock. What is in it is its user's alone.
package struct StateDirectory: Sendable {
    package let location: URL
    /// The ledger's file.
    package var ledger: String { location.appending(path: "ledger.sqlite").path }
    /// The directory of the blobs.
    package var blobs: URL { location.appending(path: "blobs") }

    package init(_ location: URL) { self.location = location }

    /// Makes the directory where it does not exist, and takes from others what they may do with it: 0700, and 0600 for
    /// the files of the ledger. A directory that holds other things and no ledger keeps its own permissions.
    /// - Throws: what the file system throws where the directory cannot be made.
    package func prepare() throws {
        let files = FileManager.default
        let path = location.path
        let isOurs =
            !files.fileExists(atPath: path) || files.fileExists(atPath: ledger)
            || (try? files.contentsOfDirectory(atPath: path))?.isEmpty == true
        try files.createDirectory(
            at: location, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        if isOurs { chmod(path, 0o700) }
        try checkLog()
        // SQLite gives the files beside it the permissions of this one.
        let descriptor = open(ledger, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if descriptor >= 0 { close(descriptor) }
        for suffix in ["", "-wal", "-shm"] { chmod(ledger + suffix, 0o600) }
    }

    /// SQLite deletes a write-ahead log that lies beside an empty ledger: with it would go what was acknowledged.
    private func checkLog() throws(InputError) {
        func bytes(_ path: String) -> Int {
            var status = stat()
            return stat(path, &status) == 0 ? Int(status.st_size) : 0
        }
        guard bytes(ledger) == 0, bytes(ledger + "-wal") > 0 else { return }
        throw InputError(
            .denied, "the ledger's write-ahead log is here, and the ledger is not", file: ledger,
            hint: "Put ledger.sqlite back; to begin with a new one, move ledger.sqlite-wal away.")
    }
}
