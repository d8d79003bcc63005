import Bytes
import RootFormat
import Storage
import Synchronization

/// Files that a worker has open, with their trees' metadata; bounded, shared by its threads.
package final class OpenFiles: Sendable {
    /// A tree of an open file, with its friends.
    package struct Opened: Sendable {
        package let file: RootFile
        package let tree: TreeDescription
        /// A friend that cannot be opened costs only those who ask for its branches.
        fileprivate let friends: [(name: String, opened: Result<OpenedFriend, FormatError>)]

        fileprivate init(file: RootFile, tree: TreeDescription, friends: [(name: String, opened: Result<OpenedFriend, FormatError>)] = []) {
            self.file = file
            self.tree = tree
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
        func locate(_ names: [String]) throws(FormatError) -> [(opened: Opened, branches: [BranchDescription], places: [Int])] {
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
                    let branch = try friends[index].opened.get().value.tree.branch(String(name.dropFirst(friends[index].name.count + 1)))
                else { throw FormatError(.missing, "the tree \(tree.path) has no branch \(name)") }
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

    private let held = Mutex<[(key: String, opened: Opened)]>([])
    private let limit: Int

    package init(limit: Int = 32) { self.limit = limit }

    /// - Parameter permit: refuses files that may not be read: a friend may lie anywhere.
    func open(_ url: String, tree: String, options: StorageOptions, permit: (String) throws(FormatError) -> Void) throws(FormatError) -> Opened {
        let key = url + "|" + tree
        let known: Opened? = held.withLock { held in
            guard let index = held.firstIndex(where: { $0.key == key }) else { return nil }
            let entry = held.remove(at: index)
            held.append(entry)
            return entry.opened
        }
        if let known { return known }
        let file = try RootFile(url: url, options: options)
        let description = try file.tree(tree)
        var friends: [(name: String, opened: Result<OpenedFriend, FormatError>)] = []
        // No real tree has more; each costs an open.
        for friend in description.friends.prefix(16) {
            do throws(FormatError) {
                friends.append((friend.name, .success(OpenedFriend(try open(friend, of: description, in: file, options, permit)))))
            } catch { friends.append((friend.name, .failure(error))) }
        }
        let opened = Opened(file: file, tree: description, friends: friends)
        held.withLock { held in
            held.append((key, opened))
            if held.count > limit { held.removeFirst() }
        }
        return opened
    }

    private func open(
        _ friend: TreeDescription.Friend, of tree: TreeDescription, in file: RootFile, _ options: StorageOptions,
        _ permit: (String) throws(FormatError) -> Void
    ) throws(FormatError) -> Opened {
        let url = Self.resolve(friend.file, beside: file.url)
        do throws(FormatError) {
            var other = file
            if url != file.url {
                // A file does not make a worker go to any host that it names.
                guard StorageURL(url).site == StorageURL(file.url).site else {
                    throw FormatError(.unsupported, "a friend at another site is not read", found: StorageURL(url).site)
                }
                try permit(url)
                other = try RootFile(url: url, options: options)
            }
            let description = try other.tree(friend.tree)
            guard description.entries >= tree.entries else {
                throw FormatError(.corrupt, "a friend has fewer entries than its tree", expected: "at least \(tree.entries)", found: "\(description.entries)")
            }
            return Opened(file: other, tree: description)
        } catch { throw error.located(file: url, object: "the friend \(friend.name) of \(tree.path)") }
    }

    /// A relative path counts from the directory of the file that names it.
    private static func resolve(_ path: String, beside url: String) -> String {
        if path.isEmpty { return url }
        if path.hasPrefix("/") || path.contains("://") { return path }
        guard let slash = url.lastIndex(of: "/") else { return path }
        return url[...slash] + path
    }

    /// After an error: the next read opens the file anew.
    func forget(_ url: String, tree: String) {
        held.withLock { $0.removeAll { $0.key == url + "|" + tree } }
    }
}
