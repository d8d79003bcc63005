/// A dictionary with a bound: the entries that were used longest ago leave when there is no room. Each call takes
/// constant time.
///
/// The bound is on the sum of the entries' costs: with the usual cost of 1, on their number. The newest entry always
/// stays, even where it alone costs more than the bound.
package struct BoundedCache<Key: Hashable, Value> {
    fileprivate struct Node {
        var entry: (key: Key, value: Value)?
        var cost: Int
        var newer: Int
        var older: Int
    }

    /// The sum of costs that may be held.
    package let limit: Int
    /// The sum of the costs of all entries.
    package private(set) var cost = 0
    /// Entries that had to leave for others, since the beginning.
    package private(set) var evictions = 0

    /// A list of the entries by their last use, linked by indices; node 0 stands between the newest and the oldest.
    private var nodes = [Node(entry: nil, cost: 0, newer: 0, older: 0)]
    private var free: [Int] = []
    private var indices: [Key: Int] = [:]

    /// - Parameter limit: the largest sum of costs, at least 1.
    package init(limit: Int) { self.limit = max(1, limit) }

    /// The number of entries.
    package var count: Int { indices.count }

    /// The entry's value, which counts as a use.
    package mutating func value(for key: Key) -> Value? {
        guard let index = indices[key] else { return nil }
        if nodes[0].older != index {
            unlink(index)
            link(index)
        }
        return nodes[index].entry?.value
    }

    /// The entry's value, without a use.
    package func peek(_ key: Key) -> Value? { indices[key].flatMap { nodes[$0].entry?.value } }

    /// Adds an entry as the newest, or replaces it, and removes the oldest others until the rest fits.
    package mutating func insert(_ value: Value, for key: Key, cost: Int = 1) {
        remove(key)
        let index = free.popLast() ?? nodes.count
        let node = Node(entry: (key, value), cost: max(0, cost), newer: 0, older: 0)
        if index == nodes.count { nodes.append(node) } else { nodes[index] = node }
        indices[key] = index
        self.cost += node.cost
        link(index)
        while self.cost > limit, count > 1, let oldest = nodes[nodes[0].newer].entry?.key {
            remove(oldest)
            evictions += 1
        }
    }

    /// Removes an entry, which counts as no eviction.
    /// - Returns: its value, where it was held.
    @discardableResult
    package mutating func remove(_ key: Key) -> Value? {
        guard let index = indices.removeValue(forKey: key) else { return nil }
        unlink(index)
        cost -= nodes[index].cost
        free.append(index)
        defer { nodes[index].entry = nil }
        return nodes[index].entry?.value
    }

    /// Removes all entries; the number of evictions stays.
    package mutating func removeAll() {
        nodes.removeSubrange(1...)
        (nodes[0].newer, nodes[0].older) = (0, 0)
        (free, indices, cost) = ([], [:], 0)
    }

    /// Puts a node in as the newest: node 0's `older` is the newest entry, its `newer` the oldest.
    private mutating func link(_ index: Int) {
        let newest = nodes[0].older
        nodes[index].newer = 0
        nodes[index].older = newest
        nodes[newest].newer = index
        nodes[0].older = index
    }

    private mutating func unlink(_ index: Int) {
        let (newer, older) = (nodes[index].newer, nodes[index].older)
        nodes[newer].older = older
        nodes[older].newer = newer
    }
}

extension BoundedCache.Node: Sendable where Key: Sendable, Value: Sendable {}
extension BoundedCache: Sendable where Key: Sendable, Value: Sendable {}
