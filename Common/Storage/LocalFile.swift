import Bytes
import Cluster
import Glibc

/// An open regular file of this machine.
final class LocalFile: Sendable {
    let path: String
    let descriptor: Int32
    /// As it was when it was opened.
    let version: FileVersion

    /// Takes over an open descriptor.
    init(path: String, descriptor: Int32, _ status: stat) {
        self.path = path
        self.descriptor = descriptor
        version = Self.version(status)
    }

    deinit { close(descriptor) }

    /// Reads pieces of the file; blocks for as long as the file system does.
    /// - Parameter target: memory with room for each piece at its own offset there.
    /// - Throws: `InputError` with `.changed` where the file was changed since it was opened.
    func read(_ pieces: [Piece], into target: UnsafeMutableRawPointer) throws(InputError) {
        for piece in pieces {
            var done = 0
            while done < piece.length {
                let count = pread(
                    descriptor, target + piece.target + done, piece.length - done, off_t(piece.offset + done))
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { throw localError("cannot read the file", errno, path) }
                guard count > 0 else {
                    try checkVersion()
                    throw InputError(.truncated, "the file ends too early", file: path, offset: piece.offset + done)
                }
                done += count
            }
        }
        try checkVersion()
    }

    private func checkVersion() throws(InputError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw localError("cannot look at the file", errno, path) }
        let now = Self.version(status)
        guard now.bytes == version.bytes, now.modified == version.modified else {
            throw InputError(
                .changed, "the file was changed while it was open", file: path, expected: "\(version)",
                found: "\(now)", hint: "Submit the job again when nobody writes to it.")
        }
    }

    /// Bytes of the file, and their offset in the memory that they are read into.
    struct Piece: Sendable {
        var offset: Int
        var length: Int
        var target: Int
    }

    private static func version(_ status: stat) -> FileVersion {
        FileVersion(
            machine: machine, bytes: Int(status.st_size),
            modified: Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec))
    }

    private static let machine: String = {
        var name = [CChar](repeating: 0, count: 257)
        guard gethostname(&name, 256) == 0 else { return "" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }()
}

/// An error of the local file system.
/// - Parameters:
///   - what: what could not be done.
///   - code: `errno`.
func localError(_ what: String, _ code: Int32, _ path: String) -> InputError {
    let kind: InputError.Code =
        switch code {
        case ENOENT, ENOTDIR: .missing
        case EACCES, EPERM: .denied
        // However often it is tried again, the name stays what it is.
        case ENAMETOOLONG, ELOOP, EINVAL, EISDIR, ENXIO, ENODEV, EOVERFLOW: .input
        case EIO, ESTALE, EREMOTEIO: .faulty
        default: .unreachable
        }
    return InputError(kind, "\(what): \(String(cString: strerror(code)))", file: path)
}
