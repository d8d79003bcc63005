import Bytes
package import Cluster
package import RootFormat
import Storage

/// A tree of an open file, with its friends.
package struct OpenedTree: Sendable {
    /// The file's replicas, which everything of the tree is read through.
    let source: ReplicatedSource
    package let file: RootFile
    package let tree: TreeDescription
    package let identity: String
    /// What distinguishes a local file's content from an earlier one; nil of a file at a site.
    package let version: FileVersion?
    /// The sites' checksum of the file, where it was asked for.
    package let adler32: String?
    /// A friend that cannot be opened is an error only for those who ask for its branches.
    let friends: [Friend]

    /// Another tree whose branches are read as this one's.
    struct Friend: Sendable {
        /// Its branches are asked for as `name.branch`.
        let name: String
        let opened: Result<OpenedFriend, InputError>
    }

    /// A box, since an opened tree cannot hold others like itself.
    final class OpenedFriend: Sendable {
        let value: OpenedTree
        init(_ value: OpenedTree) { self.value = value }
    }

    /// Wanted branches that lie in one tree.
    struct Part {
        let opened: OpenedTree
        var branches: [BranchDescription] = []
        /// For each of the branches, its index among all that were asked for.
        var indices: [Int] = []
    }

    /// Its branches and its friends', by the names they are asked for with: `branch` or `friend.branch`.
    var branches: [(name: String, branch: BranchDescription)] {
        tree.branches.map { ($0.name, $0) }
            + friends.flatMap { friend in
                ((try? friend.opened.get().value.tree.branches) ?? []).map { ("\(friend.name).\($0.name)", $0) }
            }
    }

    /// Sorts wanted branches by the tree they lie in.
    /// - Throws: `InputError` where there is no such branch, or the friend that has it could not be opened.
    func locate(_ names: [String]) throws(InputError) -> [Part] {
        var own = Part(opened: self)
        var others: [Int: Part] = [:]
        for (index, name) in names.enumerated() {
            if let branch = tree.branch(name) {
                own.branches.append(branch)
                own.indices.append(index)
                continue
            }
            guard let friend = friends.firstIndex(where: { name.hasPrefix($0.name + ".") }) else {
                throw InputError(.missing, "the tree \(tree.path) has no branch \(name)")
            }
            let opened = try friends[friend].opened.get().value
            guard let branch = opened.tree.branch(String(name.dropFirst(friends[friend].name.count + 1))) else {
                throw InputError(.missing, "the tree \(tree.path) has no branch \(name)")
            }
            others[friend, default: Part(opened: opened)].branches.append(branch)
            others[friend]?.indices.append(index)
        }
        let found = own.branches.isEmpty && !names.isEmpty ? [] : [own]
        return found + others.sorted { $0.key < $1.key }.map(\.value)
    }
}
