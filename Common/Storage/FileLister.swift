package import Bytes
import CXrootd
package import Cluster
import Glibc

/// Expands what a user writes under `files:` into files: a URL, a glob (`*`, `?`, `[a-z]` in any part of the path), a
/// directory (its `*.root` files), a replica list (`.meta4`, `.metalink`), or a text file (`.txt`, `.list`) with one of
/// these a line.
package struct FileLister: Sendable {
    private let board: SiteBoard
    /// Called with each local path before it is touched; throws where the worker may not read it.
    private let permit: @Sendable (String) throws(InputError) -> Void

    package init(
        board: SiteBoard = .init(), permit: @escaping @Sendable (String) throws(InputError) -> Void = { _ in }
    ) {
        self.board = board
        self.permit = permit
    }

    /// The files that a pattern names, sorted within a directory.
    /// - Throws: `InputError` where it names none, or no site that may have them can list them.
    package func expand(_ pattern: String) throws(InputError) -> [FileReplicas] {
        try expand(pattern, depth: 0)
    }

    private func expand(_ pattern: String, depth: Int) throws(InputError) -> [FileReplicas] {
        if pattern.hasSuffix(".txt") || pattern.hasSuffix(".list") {
            guard depth == 0 else { throw InputError(.input, "a list file names another list file", file: pattern) }
            return try readList(pattern)
        }
        if pattern.hasSuffix(".meta4") || pattern.hasSuffix(".metalink") {
            let files = try Metalink.parse(try whole(pattern), url: pattern)
            for file in files { for url in file.urls { if let path = localPath(of: url) { try permit(path) } } }
            return files
        }
        let replicas = board.catalog.replicas([pattern])
        guard !replicas.isEmpty else {
            throw InputError(
                .missing, "no site of the catalogue can have this logical name", file: pattern,
                expected: "a site with prefixes in the sites file")
        }
        // What one site does not list, another may.
        var selector = ReplicaSelector(replicas, policy: .init(maxAttempts: 2, baseWait: 0.2))
        var operation = selector.begin(ranks: board.ranks(replicas))
        while true {
            switch selector.next(operation, now: monotonicSeconds()) {
            case .attempt(let index, _):
                let access = board.access(replicas[index].site)
                do throws(InputError) {
                    let found = try expand(replicas[index].url, at: access)
                    access.listed()
                    return files(found, pattern, at: replicas[index])
                } catch {
                    if case .local = StorageURL(replicas[index].url).kind { throw error }
                    let failure = SiteError(site: replicas[index].site, error)
                    access.failed(failure)
                    selector.failed(
                        index, in: &operation, failure, now: monotonicSeconds(), jitter: .random(in: 0..<1))
                }
            case .wait(let seconds): usleep(UInt32(max(0, seconds) * 1e6))
            case .giveUp: throw selector.error(of: pattern)
            }
        }
    }

    /// What a replica's site listed, as files.
    private func files(_ found: [String], _ pattern: String, at replica: SiteCatalog.Replica) -> [FileReplicas] {
        // Another replica was found for the one that the user named: that stays a replica of the file.
        let own = StorageURL(pattern)
        if case .xrootd = own.kind, found.count == 1, let only = found.first,
            StorageURL(only).endpoint != own.endpoint, StorageURL(only).path == StorageURL(replica.url).path
        {
            return [FileReplicas([pattern, only], logicalName: board.catalog.logicalName(pattern))]
        }
        return found.map { FileReplicas([$0], logicalName: board.catalog.logicalName($0)) }
    }

    private func expand(_ pattern: String, at access: SiteAccess) throws(InputError) -> [String] {
        let location = StorageURL(pattern)
        let prefix: String
        let path = location.path
        switch location.kind {
        case .local(let local):
            prefix = ""
            try permit(local)
        case .xrootd: prefix = location.endpoint + "/"
        case .http:
            // Web servers have no list of their files that all would agree on.
            guard !path.contains(where: { "*[".contains($0) }), !pattern.hasSuffix("/") else {
                throw InputError(
                    .unsupported, "files at http:// sites cannot be listed", file: pattern,
                    hint: "Name the files, or a list of them (.txt).")
            }
            return [pattern]
        case .logical, .unsupported:
            _ = try openSource(pattern)
            return []
        }
        let found: [String]
        if path.contains(where: { "*?[".contains($0) }) {
            found = try glob(prefix, path, access)
            guard !found.isEmpty else { throw InputError(.missing, "the pattern matches no file", file: pattern) }
        } else if try isDirectory(prefix + path, access) {
            let names = try list(prefix + path, access).filter { !$0.directory && $0.name.hasSuffix(".root") }.map(
                \.name)
            found = names.sorted().map { prefix + (path.hasSuffix("/") ? path : path + "/") + $0 }
            guard !found.isEmpty else {
                throw InputError(.missing, "the directory holds no *.root file", file: pattern)
            }
        } else {
            found = [prefix + path]
        }
        return found
    }

    private func whole(_ url: String) throws(InputError) -> String {
        if let path = localPath(of: url) { try permit(path) }
        let source = try openSource(url, at: board.access(url: url))
        guard source.size <= 64 << 20 else {
            throw InputError(.limit, "the list file is too long", file: url, expected: "at most 64 MiB")
        }
        return String(decoding: try source.read([ByteRange(offset: 0, length: source.size)]).bytes(0), as: UTF8.self)
    }

    private func readList(_ url: String) throws(InputError) -> [FileReplicas] {
        var found: [FileReplicas] = []
        for line in try whole(url).split(whereSeparator: \.isNewline) {
            let trimmed = line.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }
            if trimmed.isEmpty || trimmed.hasPrefix("#") { continue }
            found += try expand(String(trimmed), depth: 1)
        }
        guard !found.isEmpty else { throw InputError(.missing, "the list file names no file", file: url) }
        return found
    }

    private func glob(_ prefix: String, _ path: String, _ access: SiteAccess) throws(InputError) -> [String] {
        var bases = [""]
        let parts = path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        for (index, part) in parts.enumerated() {
            let last = index == parts.count - 1
            guard part.contains(where: { "*?[".contains($0) }) else {
                bases = bases.map { $0 + "/" + part }
                continue
            }
            var next: [String] = []
            for base in bases {
                let names = try list(prefix + (base.isEmpty ? "/" : base), access).filter {
                    last != $0.directory && fnmatch(part, $0.name, FNM_PERIOD) == 0
                }
                next += names.map { base + "/" + $0.name }
            }
            bases = next
        }
        return bases.sorted().map { prefix + $0 }
    }

    private func isDirectory(_ url: String, _ access: SiteAccess) throws(InputError) -> Bool {
        if let path = localPath(of: url) {
            var status = stat()
            guard fileStatus(path, &status) == 0 else {
                throw InputError(
                    errno == ENOENT ? .missing : .unreachable,
                    "cannot find the file: \(String(cString: strerror(errno)))", file: path)
            }
            return status.st_mode & S_IFMT == S_IFDIR
        }
        var directory: Int32 = 0
        var size: UInt64 = 0
        let address = try access.credentials.sign(url)
        let result = xrootdResult { cxr_stat(address, Int32(access.limits.openSeconds), &directory, &size, $0, $1) }
        guard result.code == CXR_OK else { throw storageError(result, "cannot find the file", url) }
        return directory != 0
    }

    private func list(_ url: String, _ access: SiteAccess) throws(InputError) -> [(name: String, directory: Bool)] {
        if let path = localPath(of: url) {
            guard let names = directoryNames(path) else {
                throw InputError(
                    .missing, "cannot list the directory: \(String(cString: strerror(errno)))", file: path)
            }
            return names.map { name in
                var status = stat()
                let isDirectory = fileStatus(path + "/" + name, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
                return (name, isDirectory)
            }
        }
        var listing: UnsafeMutablePointer<CChar>?
        let address = try access.credentials.sign(url)
        let result = xrootdResult { cxr_list(address, Int32(access.limits.openSeconds), &listing, $0, $1) }
        guard result.code == CXR_OK, let listing else { throw storageError(result, "cannot list the directory", url) }
        defer { cxr_free(listing) }
        return String(cString: listing).split(separator: "\n").map { (String($0.dropFirst(2)), $0.hasPrefix("d ")) }
    }
}

/// `stat`, whose name the structure takes.
private func fileStatus(_ path: String, _ status: inout stat) -> Int32 { fstatat(AT_FDCWD, path, &status, 0) }
