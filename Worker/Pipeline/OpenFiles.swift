import Bytes
import Cluster
import RootFormat
import Storage
import Synchronization

/// Files that a worker has open, with their trees' metadata; bounded, shared by its threads.
package final class OpenFiles: Sendable {
    /// A tree of an open file, with its friends.
    package struct Opened: Sendable {
        package let file: RootFile
        package let tree: TreeDescription
        package let identity: String
        /// The site's checksum, where it was asked for.
        package let adler32: String?
        /// A friend that cannot be opened costs only those who ask for its branches.
        fileprivate let friends: [(name: String, opened: Result<OpenedFriend, InputError>)]

        fileprivate init(
            file: RootFile, tree: TreeDescription, identity: String, adler32: String? = nil,
            friends: [(name: String, opened: Result<OpenedFriend, InputError>)] = []
        ) {
            self.file = file
            self.tree = tree
            self.identity = identity
            self.adler32 = adler32
            self.friends = friends
        }

        /// Its branches and its friends', by the names they are asked for with: `friend.branch`.
        var branches: [(name: String, branch: BranchDescription)] {
            tree.branches.map { ($0.name, $0) }
                + friends.flatMap { friend in
                    ((try? friend.opened.get().value.tree.branches) ?? []).map { ("\(friend.name).\($0.name)", $0) }
                }
        }

        /// Sorts wanted branches by the tree they lie in.
        func locate(
            _ names: [String]
        ) throws(InputError) -> [(opened: Opened, branches: [BranchDescription], places: [Int])] {
            var own: [BranchDescription] = []
            var ownPlaces: [Int] = []
            var others = friends.map { _ in (branches: [BranchDescription](), places: [Int]()) }
            for (place, name) in names.enumerated() {
                if let branch = tree.branch(name) {
                    own.append(branch)
                    ownPlaces.append(place)
                    continue
                }
                guard let index = friends.firstIndex(where: { name.hasPrefix($0.name + ".") }),
                    let branch = try friends[index].opened.get().value.tree.branch(
                        String(name.dropFirst(friends[index].name.count + 1)))
                else { throw InputError(.missing, "the tree \(tree.path) has no branch \(name)") }
                others[index].branches.append(branch)
                others[index].places.append(place)
            }
            var found = own.isEmpty && !names.isEmpty ? [] : [(opened: self, branches: own, places: ownPlaces)]
            for (index, part) in others.enumerated() where !part.branches.isEmpty {
                found.append((try friends[index].opened.get().value, part.branches, part.places))
            }
            return found
        }
    }

    /// A friend is an opened tree in an opened tree.
    final class OpenedFriend: Sendable {
        let value: Opened
        init(_ value: Opened) { self.value = value }
    }

    private let held: Mutex<BoundedCache<String, Opened>>
    private let board: SiteBoard

    package init(_ board: SiteBoard = .init(), limit: Int = 32) {
        self.board = board
        held = Mutex(BoundedCache(limit: limit))
    }

    /// - Parameters:
    ///   - identity: what the survey found; nil at the survey itself.
    ///   - verify: asks each place for its checksum.
    ///   - permit: refuses files that may not be read: a friend may lie anywhere.
    func open(
        _ file: FileReplicas, tree: String, identity: String?, verify: Bool,
        permit: (String) throws(InputError) -> Void
    ) throws(InputError) -> Opened {
        let key = Self.key(file, tree)
        let known = held.withLock { $0.value(for: key) }
        // A survey looks anew: what is open may be another file than what lies there by now.
        if let known, identity == known.identity, !verify || known.adler32 != nil && known.adler32 == file.adler32 {
            return known
        }
        for url in file.urls { try permit(url) }
        let (root, found, adler32) = try openRoot(file, identity: identity, verify: verify)
        let description = try root.tree(tree)
        var friends: [(name: String, opened: Result<OpenedFriend, InputError>)] = []
        // No real tree has more; each costs an open.
        for friend in description.friends.prefix(16) {
            do throws(InputError) {
                friends.append(
                    (friend.name, .success(OpenedFriend(try open(friend, of: description, in: root, found, permit)))))
            } catch { friends.append((friend.name, .failure(error))) }
        }
        root.closeWindow()
        let opened = Opened(file: root, tree: description, identity: found, adler32: adler32, friends: friends)
        held.withLock { $0.insert(opened, for: key) }
        return opened
    }

    private static func key(_ file: FileReplicas, _ tree: String) -> String { file.url + "|" + tree }

    /// Opens one place after the other until one gives a ROOT file with the expected identity.
    private func openRoot(
        _ file: FileReplicas, identity: String?, verify: Bool
    ) throws(InputError) -> (root: RootFile, identity: String, adler32: String?) {
        let source = ReplicatedSource(file, board: board, identity: identity, verify: verify) {
            (source) throws(InputError) in
            try FileIdentity.of(source)
        }
        var failures = 0
        while true {
            // Throws when no place is left.
            try source.open()
            do throws(InputError) {
                let root = try RootFile(source)
                let found = try FileIdentity.of(source, uuid: root.header.uuid)
                if let identity, identity != found {
                    throw InputError(
                        .changed, "the file is not the one that was surveyed: its identity changed", file: source.url,
                        expected: identity, found: found,
                        hint: "It was replaced meanwhile: submit the job again.")
                }
                source.pin(found)
                return (root, found, source.adler32)
            } catch {
                failures += 1
                source.reject(error)
                guard failures < source.patience else { throw error }
            }
        }
    }

    private func open(
        _ friend: TreeDescription.Friend, of tree: TreeDescription, in root: RootFile, _ identity: String,
        _ permit: (String) throws(InputError) -> Void
    ) throws(InputError) -> Opened {
        let url = Self.resolve(friend.file, beside: root.url)
        do throws(InputError) {
            var other = (root: root, identity: identity, adler32: String?.none)
            if url != root.url {
                // A file does not make a worker go to any host that it names.
                guard StorageURL(url).endpoint == StorageURL(root.url).endpoint else {
                    throw InputError(
                        .unsupported, "a friend at another site is not read", found: StorageURL(url).endpoint)
                }
                try permit(url)
                other = try openRoot(FileReplicas(url), identity: nil, verify: false)
            }
            let description = try other.root.tree(friend.tree)
            guard description.entries >= tree.entries else {
                throw InputError(
                    .corrupt, "a friend has fewer entries than its tree", expected: "at least \(tree.entries)",
                    found: "\(description.entries)")
            }
            return Opened(file: other.root, tree: description, identity: other.identity)
        } catch { throw error.located(file: url, object: "the friend \(friend.name) of \(tree.path)") }
    }

    /// A relative path counts from the directory of the file that names it.
    private static func resolve(_ path: String, beside url: String) -> String {
        if path.isEmpty { return url }
        if path.hasPrefix("/") || path.contains("://") { return path }
        guard let slash = url.lastIndex(of: "/") else { return path }
        return url[...slash] + path
    }

    /// The bytes that a file's place gave are damaged: another place is to give them.
    /// - Returns: whether there is another try to be made.
    func distrust(_ file: FileReplicas, tree: String, _ error: InputError) -> Bool {
        let opened = held.withLock { $0.peek(Self.key(file, tree)) }
        guard [.corrupt, .badChecksum, .badLength, .badMagic, .truncated].contains(error.code),
            let source = opened?.file.source as? ReplicatedSource
        else { return false }
        source.distrust(error)
        return true
    }

    /// After an error: the next read opens the file anew.
    func forget(_ file: FileReplicas, tree: String) {
        _ = held.withLock { $0.remove(Self.key(file, tree)) }
    }
}
