package import Bytes
import Cluster
package import Features
import Synchronization

/// The samples of the blocks of one data plan that this member's lanes need, bounded. Where it holds them all, later
/// epochs read no site.
package final class RowCache: Sendable {
    /// By the block's index in the data plan; costs are bytes.
    private let held: Mutex<BoundedCache<Int, EventStore>>
    private let load: @Sendable (Int) throws(InputError) -> EventStore

    /// - Parameters:
    ///   - limit: bytes of samples kept.
    ///   - load: reads the block with this index in the data plan.
    package init(limit: Int, load: @escaping @Sendable (Int) throws(InputError) -> EventStore) {
        held = Mutex(BoundedCache(limit: limit))
        self.load = load
    }

    /// Whether blocks had to leave, or the next ones would make others leave.
    package var isFull: Bool { held.withLock { $0.evictions > 0 || $0.cost >= $0.limit } }

    /// The samples of the block with this index in the data plan, read where they are not held.
    package func events(_ block: Int) throws(InputError) -> EventStore {
        if let known = held.withLock({ $0.value(for: block) }) { return known }
        let loaded = try load(block)
        held.withLock { $0.insert(loaded, for: block, cost: loaded.bytes) }
        return loaded
    }
}
