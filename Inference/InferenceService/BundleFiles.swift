import Bytes
import Foundation
import Models
import Serving

/// The files of a node's state directory: bundles named by their SHA-256, and what is written or was quarantined.
/// Calls block.
struct BundleFiles: Sendable {
    private let directory: URL

    static let suffix = ".bundle"
    /// Files that are being written.
    private static let partial = ".part"
    /// Where files go that cannot be served.
    static let quarantineName = "quarantine"

    /// The files in a directory that is there.
    init(_ directory: URL) { self.directory = directory }

    /// The path of a file.
    func url(_ name: String) -> URL { directory.appending(path: name) }

    /// The names of all files.
    ///
    /// - Throws: what the file system throws.
    func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted() }

    /// Whether a bundle may be kept as this name, in some directory.
    static func isBundle(_ name: String) -> Bool { name.hasSuffix(suffix) }

    /// Removes what an earlier life of the node was writing when it ended.
    func removePartial() {
        for name in (try? names()) ?? [] where name.hasSuffix(Self.partial) { remove(name) }
    }

    /// Removes a file; one that is not there is none to remove.
    func remove(_ name: String) { try? FileManager.default.removeItem(at: url(name)) }

    /// The size of a bundle.
    ///
    /// - Throws: `InputError` with `.missing` where there is no such file, with `.corrupt` for a directory, a link or
    ///   another thing that is no file, and for one that is larger than any bundle.
    func size(_ name: String) throws(InputError) -> Int {
        let url = url(name)
        var status = stat()
        guard lstat(url.path, &status) == 0 else {
            throw InputError(
                errno == ENOENT ? .missing : .unreachable, "a bundle of the index is not there", file: url.path,
                found: String(cString: strerror(errno)))
        }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= ModelBundle.maxBytes else {
            throw InputError(
                .corrupt, "a bundle is no file, or too large", file: url.path,
                expected: "a file of at most \(ModelBundle.maxBytes) bytes", found: "\(status.st_size) bytes")
        }
        return Int(status.st_size)
    }

    /// Reads a bundle.
    ///
    /// - Throws: `InputError` as `size`, and with `.unreachable` where the file cannot be read.
    func read(_ name: String) throws(InputError) -> [UInt8] {
        _ = try size(name)
        do { return [UInt8](try Data(contentsOf: url(name))) } catch {
            throw InputError(.unreachable, "a bundle cannot be read", file: url(name).path, found: "\(error)")
        }
    }

    /// Moves a file into the directory for what cannot be served, and never over another one.
    ///
    /// - Returns: where it is now; nil where it could not be moved.
    func quarantine(_ name: String) -> String? {
        let quarantine = url(Self.quarantineName)
        try? FileManager.default.createDirectory(at: quarantine, withIntermediateDirectories: true)
        for number in 1...1000 {
            let target = quarantine.appending(path: number == 1 ? name : "\(name).\(number)")
            var status = stat()
            guard lstat(target.path, &status) != 0 else { continue }
            return rename(url(name).path, target.path) == 0 ? target.path : nil
        }
        return nil
    }

    // MARK: Writing

    /// Writes and syncs bytes under another name.
    ///
    /// - Returns: the name under which they lie; `commit` gives them their own.
    /// - Throws: `InputError` with `.full` where the disk is full, with `.unreachable` for other errors; nothing is
    ///   left then.
    func stage(_ bytes: [UInt8]) throws(InputError) -> String {
        let name = UUID().uuidString + Self.partial
        do throws(InputError) { try store(bytes, as: name) } catch {
            remove(name)
            throw error
        }
        return name
    }

    /// Gives a staged file its name, over the file that has it.
    ///
    /// - Throws: `InputError` as `stage`; nothing has changed then.
    func commit(_ staged: String, as name: String) throws(InputError) {
        guard rename(url(staged).path, url(name).path) == 0 else { throw failure("renamed", name) }
        // The name itself is on disk after this, where the file system can sync a directory.
        let descriptor = open(directory.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        _ = fsync(descriptor)
        close(descriptor)
    }

    private func store(_ bytes: [UInt8], as name: String) throws(InputError) {
        let descriptor = open(url(name).path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failure("made", name) }
        defer { close(descriptor) }
        var offset = 0
        while offset < bytes.count {
            let count = bytes[offset...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure("written", name) }
            offset += count
        }
        guard fsync(descriptor) == 0 else { throw failure("synced", name) }
    }

    private func failure(_ what: String, _ name: String) -> InputError {
        let number = errno
        let isFull = number == ENOSPC || number == EDQUOT
        return InputError(
            isFull ? .full : .unreachable,
            isFull ? "the disk of the models is full" : "a file of the models cannot be \(what)", file: url(name).path,
            found: String(cString: strerror(number)))
    }
}
