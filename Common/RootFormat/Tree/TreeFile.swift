package import Bytes
import Columns
import Storage

extension RootFile {
    /// Reads the description of a tree or RNTuple.
    /// - Parameter path: `directory/name`; the highest cycle is taken.
    /// - Throws: `InputError` where there is none of this name, or its description cannot be read.
    package func tree(_ path: String) throws(InputError) -> TreeDescription {
        guard let found = treeKeys.first(where: { $0.path == path }) else {
            let trees = treeKeys.map(\.path)
            throw InputError(
                .missing, "the file has no tree \(path.debugDescription)", file: url,
                found: trees.isEmpty ? "no tree at all" : "the trees " + trees.prefix(20).joined(separator: ", "))
        }
        return try tree(found)
    }

    /// Reads the description of the tree or RNTuple that a key names.
    package func tree(_ entry: DirectoryKey) throws(InputError) -> TreeDescription {
        do throws(InputError) {
            if entry.isNTuple { return try nTuple(entry) }
            let bytes = try payload(entry.key)
            var reader = ByteReader(bytes.span.bytes)
            var objects = ObjectReader(catalog: streamers, displacement: entry.key.headerLength)
            defer { objects.dismantle() }
            let object = try objects.object(of: entry.key.className, &reader)
            guard (0...TreeDescription.maxEntries).contains(object.integer("fEntries")) else {
                throw InputError(
                    .limit, "the tree's number of entries is not plausible", found: "\(object.integer("fEntries"))")
            }
            guard object.has("fEntries"), object.has("fBranches") else {
                throw InputError(.unsupported, "the file does not describe its class \(entry.key.className)")
            }
            // What a basket holds decides about a branch: a site that does not answer is no reason to leave it out.
            var interrupted: InputError?
            let parser = TreeParser(object: object, catalog: streamers) { basket in
                do throws(InputError) { return try self.inflated(basket) } catch {
                    if error.code.isTransient { interrupted = error }
                    return nil
                }
            }
            let branches = parser.branches()
            if let interrupted { throw interrupted }
            return TreeDescription(
                path: entry.path, title: entry.key.title, entries: object.integer("fEntries"), branches: branches,
                clusterBoundaries: TreeParser.clusters(object, branches),
                friends: object.list("fFriends").map { element in
                    // An alias is its name; the tree's own name stands beside it.
                    let name = element.string("fName")
                    let tree = element.string("fTreeName")
                    return .init(name: name, tree: tree.isEmpty ? name : tree, file: element.string("fTitle"))
                })
        } catch { throw error.located(file: url, object: "the tree \(entry.path)") }
    }

    /// The bytes of a basket, inflated.
    private func inflated(_ basket: BasketStore.Basket) throws(InputError) -> [UInt8] {
        var stored: [UInt8] = []
        if case .stored(let offset, let length) = basket.location {
            stored = try bytes(ByteRange(offset: offset, length: length))
        }
        var found: [UInt8] = []
        var failure: InputError?
        stored.withUnsafeBytes { stored in
            do throws(InputError) {
                try BasketReader(pool: BufferPool()).open(basket, stored: stored) { (data) throws(InputError) in
                    found = Array(data.bytes.prefix(data.border))
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
        return found
    }
}
