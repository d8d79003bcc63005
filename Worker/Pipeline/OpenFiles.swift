import Bytes
import Cluster
import RootFormat
package import Storage
import Synchronization

/// Files that a worker has open, with their trees' metadata; bounded, shared by its threads.
package final class OpenFiles: Sendable {
    private let held: Mutex<BoundedCache<String, OpenedTree>>
    private let board: SiteBoard

    /// - Parameter limit: the number of trees that are kept open.
    package init(_ board: SiteBoard = .init(), limit: Int = 32) {
        self.board = board
        held = Mutex(BoundedCache(limit: limit))
    }

    /// Opens a tree, or takes one that is open.
    /// - Parameters:
    ///   - identity: what the survey found; nil at the survey itself, which always opens the file.
    ///   - verify: compares each replica's checksum.
    ///   - version: what the survey found of a local file.
    ///   - local: which files of this machine may be read: a friend may lie anywhere.
    func open(
        _ file: FileReplicas, tree: String, identity: String?, verify: Bool, version: FileVersion? = nil,
        local: LocalFiles
    ) throws(InputError) -> OpenedTree {
        let key = Self.key(file, tree)
        let known = held.withLock { $0.value(for: key) }
        // What is open may be another file than what lies there by now: a survey must not take it.
        if let known, identity == known.identity, !verify || known.adler32 != nil && known.adler32 == file.adler32,
            version.flatMap({ version in known.version.map { !version.contradicts($0) } }) ?? true
        {
            return known
        }
        try Self.permit(file, local)
        let source = source(file, identity: identity, verify: verify, version: version, local: local)
        // A replica whose metadata are damaged or another file's is left for the next one.
        let (root, found, description) = try source.retrying {
            () throws(InputError) -> (RootFile, String, TreeDescription) in
            let (root, found) = try Self.openRoot(source, identity: identity)
            let description = try root.tree(tree)
            try description.checkEntries()
            return (root, found, description)
        }
        // No real tree has more friends; each costs an open.
        let friends = description.friends.prefix(16).map { friend in
            do throws(InputError) {
                let opened = try open(friend, of: description, in: root, source, found, local)
                return OpenedTree.Friend(name: friend.name, opened: .success(.init(opened)))
            } catch { return OpenedTree.Friend(name: friend.name, opened: .failure(error)) }
        }
        root.closeWindow()
        let opened = OpenedTree(
            source: source, file: root, tree: description, identity: found, version: source.version,
            adler32: source.adler32, friends: friends)
        held.withLock { $0.insert(opened, for: key) }
        return opened
    }

    /// Runs work on a task's open tree. Where the bytes of a replica prove damaged, the work runs again with another
    /// replica's; after an error the next task opens the file again.
    func reading<T>(
        _ input: InputTree, local: LocalFiles,
        _ work: (OpenedTree) throws(InputError) -> T
    ) throws(InputError) -> T {
        do throws(InputError) {
            let opened = try open(
                input.file, tree: input.tree, identity: input.identity, verify: input.verify, version: input.version,
                local: local)
            return try opened.source.retrying { () throws(InputError) in try work(opened) }
        } catch {
            _ = held.withLock { $0.remove(Self.key(input.file, input.tree)) }
            throw error.located(file: input.file.url)
        }
    }

    private static func key(_ file: FileReplicas, _ tree: String) -> String { file.url + "|" + tree }

    private static func permit(_ file: FileReplicas, _ local: LocalFiles) throws(InputError) {
        for url in file.urls { if let path = localPath(of: url) { try local.permit(path) } }
    }

    private func source(
        _ file: FileReplicas, identity: String?, verify: Bool, version: FileVersion?, local: LocalFiles
    ) -> ReplicatedSource {
        ReplicatedSource(
            file, board: board, identity: identity, verify: verify, version: version, local: local
        ) { (source) throws(InputError) in try FileIdentity.of(source) }
    }

    /// Reads the header of a source's open replica, and fixes the file's identity for all that follows.
    private static func openRoot(
        _ source: ReplicatedSource, identity: String?
    ) throws(InputError) -> (root: RootFile, identity: String) {
        let root = try RootFile(source)
        let found = try FileIdentity.of(source, uuid: root.header.uuid)
        if let identity, identity != found {
            throw InputError(
                .changed, "the file is not the one that was surveyed: its identity changed", file: source.url,
                expected: identity, found: found, hint: "It was replaced meanwhile: submit the job again.")
        }
        source.pin(found)
        return (root, found)
    }

    private func open(
        _ friend: TreeDescription.Friend, of tree: TreeDescription, in root: RootFile, _ source: ReplicatedSource,
        _ identity: String, _ local: LocalFiles
    ) throws(InputError) -> OpenedTree {
        let url = Self.resolve(friend.file, beside: root.url)
        do throws(InputError) {
            var other = (root: root, identity: identity, source: source)
            if url != root.url {
                // A file does not make a worker go to any host that it names.
                guard StorageURL(url).endpoint == StorageURL(root.url).endpoint else {
                    throw InputError(
                        .unsupported, "a friend at another site is not read", found: StorageURL(url).endpoint)
                }
                try Self.permit(FileReplicas(url), local)
                other.source = self.source(
                    FileReplicas(url), identity: nil, verify: false, version: nil, local: local)
                (other.root, other.identity) = try other.source.retrying {
                    [source = other.source] () throws(InputError) in
                    try Self.openRoot(source, identity: nil)
                }
            }
            let description = try other.root.tree(friend.tree)
            guard description.entries >= tree.entries else {
                throw InputError(
                    .corrupt, "a friend has fewer entries than its tree", expected: "at least \(tree.entries)",
                    found: "\(description.entries)")
            }
            return OpenedTree(
                source: other.source, file: other.root, tree: description, identity: other.identity,
                version: other.source.version, adler32: nil, friends: [])
        } catch { throw error.located(file: url, object: "the friend \(friend.name) of \(tree.path)") }
    }

    /// A relative path counts from the directory of the file that names it.
    private static func resolve(_ path: String, beside url: String) -> String {
        if path.isEmpty { return url }
        if path.hasPrefix("/") || path.contains("://") { return path }
        guard let slash = url.lastIndex(of: "/") else { return path }
        return url[...slash] + path
    }
}
