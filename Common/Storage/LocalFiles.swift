package import Bytes
import Cluster
import Glibc

/// The files of this machine that may be read. Each path is looked at before anything is opened, and where it has led
/// is looked at once more on the open descriptor: links do not lead out of the directories, and nothing but a regular
/// file is read.
package struct LocalFiles: Sendable {
    /// Nil where everything may be read.
    private let roots: [String]?
    private let followsLinks: Bool

    /// Everything that the process may read: for commands that a user runs for files of his own.
    package static let all = LocalFiles(roots: nil, followsLinks: true)

    /// - Parameters:
    ///   - roots: absolute directories below which files may be read.
    ///   - followsLinks: links below them may lead out of them.
    package init(below roots: [String], followsLinks: Bool = false) {
        self.init(roots: roots, followsLinks: followsLinks)
    }

    private init(roots: [String]?, followsLinks: Bool) {
        self.roots = roots
        self.followsLinks = followsLinks
    }

    /// - Throws: `InputError` where a path may not be read, by its name.
    package func permit(_ path: String) throws(InputError) {
        guard !hasControlCharacter(path) else {
            throw InputError(.input, "a path has a control character", found: withoutControlCharacters(path))
        }
        guard let roots, !mayRead(path, below: roots) else { return }
        throw InputError(
            .input, "this worker may not read the local file", file: path,
            hint: "Start a worker with --local-files and a directory above it.")
    }

    // MARK: Opening

    /// Opens a regular file.
    /// - Parameter seconds: the deadline.
    func open(_ path: String, seconds: Int) throws(InputError) -> LocalFile {
        try perform(path, seconds) { () throws(InputError) in
            let found = try look(at: path)
            guard found.kind == S_IFREG else {
                throw InputError(
                    .input, "this is not a regular file", file: path, expected: "a file",
                    found: Self.name(ofKind: found.kind))
            }
            let descriptor = try found.reopen(O_RDONLY)
            return LocalFile(path: path, descriptor: descriptor, found.status)
        }
    }

    /// Whether a path names a directory.
    /// - Throws: `InputError` where nothing is there, or it may not be read.
    func isDirectory(_ path: String, seconds: Int) throws(InputError) -> Bool {
        try perform(path, seconds) { () throws(InputError) in try look(at: path).kind == S_IFDIR }
    }

    /// The names of a directory that match a pattern, in no order.
    /// - Parameters:
    ///   - wantsDirectories: names of directories; else names of all that are none.
    ///   - isStopped: asked now and then.
    func names(
        _ path: String, matching pattern: NameFilter, wantsDirectories: Bool, seconds: Int,
        isStopped: @escaping @Sendable () -> Bool
    ) throws(InputError) -> [String] {
        try perform(path, seconds) { () throws(InputError) in
            let descriptor = try look(at: path).reopen(O_RDONLY | O_DIRECTORY)
            guard let directory = fdopendir(descriptor) else {
                let code = errno
                close(descriptor)
                throw localError("cannot list the directory", code, path)
            }
            defer { closedir(directory) }
            var names: [String] = []
            var seen = 0
            while let entry = readdir(directory) {
                seen += 1
                if seen % 1024 == 0, isStopped() { break }
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                guard name != ".", name != "..", pattern.matches(name),
                    Self.isDirectory(name, Int(entry.pointee.d_type), in: descriptor) == wantsDirectories
                else { continue }
                try pattern.add(name, to: &names, of: path)
            }
            return names
        }
    }

    private static func isDirectory(_ name: String, _ type: Int, in directory: Int32) -> Bool {
        if type != Int(DT_UNKNOWN), type != Int(DT_LNK) { return type == Int(DT_DIR) }
        var status = stat()
        return fstatat(directory, name, &status, 0) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    // MARK: Looking

    /// Runs a call that touches the file system on a thread that may get stuck.
    private func perform<Value: Sendable>(
        _ path: String, _ seconds: Int, _ body: @escaping @Sendable () throws(InputError) -> Value
    ) throws(InputError) -> Value {
        try permit(path)
        let result = try LocalThreads.shared.run(path, seconds: seconds) { () -> Result<Value, InputError> in
            do throws(InputError) { return .success(try body()) } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// What a path names: a descriptor that can be looked at and not be read.
    private final class Found {
        let path: String
        let status: stat
        private let descriptor: Int32

        init(_ path: String, _ descriptor: Int32) throws(InputError) {
            self.path = path
            self.descriptor = descriptor
            var status = stat()
            let code = fstat(descriptor, &status) == 0 ? 0 : errno
            self.status = status
            guard code == 0 else { throw localError("cannot look at the file", code, path) }
        }

        deinit { close(descriptor) }

        var kind: mode_t { status.st_mode & S_IFMT }

        /// Where the path has led; nil where the system does not show it.
        var resolved: String? {
            var target = [UInt8](repeating: 0, count: Int(PATH_MAX))
            let length = target.withUnsafeMutableBytes {
                readlink("/proc/self/fd/\(descriptor)", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
            }
            return length > 0 ? String(decoding: target[..<length], as: UTF8.self) : nil
        }

        /// Opens the very same file, without waiting for anybody at its other end.
        func reopen(_ flags: Int32) throws(InputError) -> Int32 {
            let opened = Glibc.open("/proc/self/fd/\(descriptor)", flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
            guard opened >= 0 else { throw localError("cannot open the file", errno, path) }
            return opened
        }
    }

    /// `O_PATH`, which the C library shows only on request: the descriptor can be looked at and not be read, so that
    /// opening a FIFO or a device does nothing to it.
    private static let pathOnly: Int32 = 0o10000000

    private func look(at path: String) throws(InputError) -> Found {
        // As a directory the system mounts what is mounted on demand.
        var descriptor = Glibc.open(path, Self.pathOnly | O_DIRECTORY | O_CLOEXEC)
        if descriptor < 0, errno == ENOTDIR { descriptor = Glibc.open(path, Self.pathOnly | O_CLOEXEC) }
        guard descriptor >= 0 else { throw localError("cannot find the file", errno, path) }
        let found = try Found(path, descriptor)
        guard let roots, !followsLinks else { return found }
        let resolved = found.resolved
        // Those above the path by its name come first: another one may be on a file system that does not answer.
        let ordered = roots.filter { mayRead(path, below: [$0]) } + roots.filter { !mayRead(path, below: [$0]) }
        guard let resolved, ordered.contains(where: { root in lies(resolved, below: Self.resolve(root)) }) else {
            throw InputError(
                .input, "a link leads out of the directories that this worker may read", file: path,
                hint: "Start the worker with --local-files and the directory that the link leads to, or with "
                    + "--follow-links.")
        }
        return found
    }

    /// A directory without links in its path; the directory itself where it cannot be resolved.
    private static func resolve(_ directory: String) -> String {
        guard let resolved = realpath(directory, nil) else { return StorageURL.normalised(directory) }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private static func name(ofKind kind: mode_t) -> String {
        switch kind {
        case S_IFDIR: "a directory"
        case S_IFIFO: "a FIFO"
        case S_IFSOCK: "a socket"
        case S_IFCHR, S_IFBLK: "a device"
        default: "something else"
        }
    }
}

/// The text of a file that a user of a command names.
/// - Parameter limit: bytes at most.
/// - Throws: `InputError` where it is no regular file, is larger, does not answer, or is not UTF-8.
package func localText(_ path: String, limit: Int) throws(InputError) -> String {
    let source = try FileSource(path: path)
    guard source.size <= limit else {
        throw InputError(
            .limit, "the file is too large", file: path, expected: "at most \(limit) bytes", found: "\(source.size)")
    }
    let bytes = try source.read([ByteRange(offset: 0, length: source.size)]).bytes(0)
    guard let text = String(validating: bytes, as: UTF8.self) else {
        throw InputError(.input, "the file is not text", file: path, expected: "UTF-8")
    }
    return text
}
