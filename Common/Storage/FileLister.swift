package import Bytes
import CXrootd
import Cluster
import Glibc

/// Expands what a user writes under `files:` into files: a URL, a glob (`*`, `?`, `[a-z]` in any part of the path), a
/// directory (its `*.root` files), a replica list (`.meta4`, `.metalink`), or a text file (`.txt`, `.list`) with one of
/// these a line.
package struct FileLister: Sendable {
    private let board: SiteBoard
    private let local: LocalFiles
    private let isStopped: @Sendable () -> Bool

    /// - Parameters:
    ///   - local: which files of this machine may be read.
    ///   - isStopped: asked at each step: whether nobody waits for the list any more.
    package init(
        board: SiteBoard = .init(), local: LocalFiles = .all, isStopped: @escaping @Sendable () -> Bool = { false }
    ) {
        self.board = board
        self.local = local
        self.isStopped = isStopped
    }

    /// The files that a pattern names, sorted within a directory.
    /// - Throws: `InputError` where it names none, more than `ListingLimits` allows, or no site that may have them can
    ///   list them; and where nobody waits any more.
    package func expand(_ pattern: String) throws(InputError) -> Listing {
        var listing = Listing(pattern, isStopped: isStopped)
        try expand(pattern, into: &listing, depth: 0)
        // A directory that was left in the middle gave a part of its names.
        try listing.step()
        return listing
    }

    private func expand(_ pattern: String, into listing: inout Listing, depth: Int) throws(InputError) {
        guard !hasControlCharacter(pattern) else {
            throw InputError(.input, "a path has a control character", found: withoutControlCharacters(pattern))
        }
        if pattern.hasSuffix(".txt") || pattern.hasSuffix(".list") {
            guard depth == 0 else { throw InputError(.input, "a list file names another list file", file: pattern) }
            return try readList(pattern, into: &listing)
        }
        if pattern.hasSuffix(".meta4") || pattern.hasSuffix(".metalink") {
            return try readReplicaList(pattern, into: &listing)
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
                let found: [String]
                do throws(InputError) { found = try expand(replicas[index].url, at: access, &listing) } catch {
                    if case .local = StorageURL(replicas[index].url).kind { throw error }
                    if error.code == .limit || isStopped() { throw error }
                    let failure = SiteError(site: replicas[index].site, error)
                    access.failed(failure)
                    selector.failed(
                        index, in: &operation, failure, now: monotonicSeconds(), jitter: .random(in: 0..<1))
                    continue
                }
                access.listed()
                for file in files(found, pattern, at: replicas[index]) { try listing.add(file) }
                return
            case .wait(let seconds):
                try listing.step()
                usleep(UInt32(max(0, seconds) * 1e6))
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

    private func expand(
        _ pattern: String, at access: SiteAccess, _ listing: inout Listing
    ) throws(InputError) -> [String] {
        let location = StorageURL(pattern)
        let prefix: String
        let path = location.path
        switch location.kind {
        case .local(let path):
            prefix = ""
            try local.permit(path)
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
            found = try glob(prefix, path, access, &listing)
            guard !found.isEmpty else { throw InputError(.missing, "the pattern matches no file", file: pattern) }
        } else if try isDirectory(prefix + path, access) {
            try listing.enter()
            let filter = NameFilter(pattern: "*.root", sparesHidden: false)
            let names = try list(prefix + path, access, filter, wantsDirectories: false)
            found = names.sorted().map { prefix + (path.hasSuffix("/") ? path : path + "/") + $0 }
            guard !found.isEmpty else {
                throw InputError(.missing, "the directory holds no *.root file", file: pattern)
            }
        } else {
            found = [prefix + path]
        }
        return found
    }

    // MARK: Lists

    private func whole(_ url: String) throws(InputError) -> [UInt8] {
        let source = try openSource(url, at: board.access(url: url), local: local)
        guard source.size <= ListingLimits.listBytes else {
            throw InputError(
                .limit, "the list file is too long", file: url, expected: "at most \(ListingLimits.listBytes) bytes",
                found: "\(source.size)")
        }
        return try source.read([ByteRange(offset: 0, length: source.size)]).bytes(0)
    }

    private func readList(_ url: String, into listing: inout Listing) throws(InputError) {
        try ListFile.forEachName(try whole(url), url: url) { (name, _) throws(InputError) in
            try listing.step()
            if listing.begins(name) { try expand(name, into: &listing, depth: 1) }
        }
        guard !listing.files.isEmpty else { throw InputError(.missing, "the list file names no file", file: url) }
    }

    private func readReplicaList(_ url: String, into listing: inout Listing) throws(InputError) {
        let text = String(decoding: try whole(url), as: UTF8.self)
        for file in try Metalink.parse(text, url: url, isStopped: isStopped) {
            for url in file.urls { if let path = localPath(of: url) { try local.permit(path) } }
            try listing.add(file)
        }
    }

    // MARK: Directories

    private func glob(
        _ prefix: String, _ path: String, _ access: SiteAccess, _ listing: inout Listing
    ) throws(InputError) -> [String] {
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
                try listing.enter()
                let names = try list(
                    prefix + (base.isEmpty ? "/" : base), access, NameFilter(pattern: part), wantsDirectories: !last)
                next += names.map { base + "/" + $0 }
                guard next.count <= ListingLimits.files else {
                    throw InputError(
                        .limit, "the pattern matches too many files", file: prefix + path,
                        expected: "at most \(ListingLimits.files)",
                        hint: "Divide it: each pattern of a job is listed by itself.")
                }
            }
            bases = next
        }
        return bases.sorted().map { prefix + $0 }
    }

    private func isDirectory(_ url: String, _ access: SiteAccess) throws(InputError) -> Bool {
        if let path = localPath(of: url) {
            return try local.isDirectory(path, seconds: access.limits.openSeconds)
        }
        var directory: Int32 = 0
        var size: UInt64 = 0
        let address = try access.credentials.sign(url)
        let result = xrootdResult { cxr_stat(address, Int32(access.limits.openSeconds), &directory, &size, $0, $1) }
        guard result.code == CXR_OK else { throw storageError(result, "cannot find the file", url) }
        return directory != 0
    }

    /// The names in a directory that a filter wants.
    private func list(
        _ url: String, _ access: SiteAccess, _ filter: NameFilter, wantsDirectories: Bool
    ) throws(InputError) -> [String] {
        if let path = localPath(of: url) {
            return try local.names(
                path, matching: filter, wantsDirectories: wantsDirectories,
                // One call lists all of a directory, and may look at each name.
                seconds: 20 * access.limits.openSeconds,
                isStopped: isStopped)
        }
        var listing: UnsafeMutablePointer<CChar>?
        let address = try access.credentials.sign(url)
        let result = xrootdResult { cxr_list(address, Int32(access.limits.openSeconds), &listing, $0, $1) }
        guard result.code == CXR_OK, let listing else { throw storageError(result, "cannot list the directory", url) }
        defer { cxr_free(listing) }
        var names: [String] = []
        // A letter, a blank and the name; no server's name has a line end in it that would not be one.
        for line in UnsafeBufferPointer(start: listing, count: strlen(listing)).split(separator: CChar(0x0A)) {
            guard (line.first == CChar(bitPattern: UInt8(ascii: "d"))) == wantsDirectories else { continue }
            let name = String(decoding: line.dropFirst(2).lazy.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if filter.matches(name) { try filter.add(name, to: &names, of: url) }
        }
        return names
    }
}
