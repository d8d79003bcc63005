import Bytes
import Cluster
import Features
import Synchronization

/// The samples of the blocks that this member's lanes need, bounded. Where it holds them all, later epochs read no site.
package final class RowCache: Sendable {
    private struct State {
        var held: [Int: EventStore] = [:]
        /// Oldest use first.
        var order: [Int] = []
        var bytes = 0
        /// Blocks were dropped: there is no room for all.
        var evicted = false
    }

    private let state = Mutex(State())
    private let limit: Int
    private let load: @Sendable (Int) throws(InputError) -> EventStore

    /// - Parameters:
    ///   - limit: bytes of samples kept.
    ///   - load: reads the block with this index in the data plan.
    package init(limit: Int, load: @escaping @Sendable (Int) throws(InputError) -> EventStore) {
        self.limit = limit
        self.load = load
    }

    package var isFull: Bool { state.withLock { $0.evicted || $0.bytes >= limit } }

    /// The samples of the block with this index in the data plan, read where they are not at hand.
    package func events(_ block: Int) throws(InputError) -> EventStore {
        let known: EventStore? = state.withLock { state in
            guard let found = state.held[block] else { return nil }
            if state.bytes > limit / 2, let place = state.order.firstIndex(of: block) {
                state.order.remove(at: place)
                state.order.append(block)
            }
            return found
        }
        if let known { return known }
        let loaded = try load(block)
        state.withLock { state in
            guard state.held.updateValue(loaded, forKey: block) == nil else { return }
            state.order.append(block)
            state.bytes += loaded.bytes
            while state.bytes > limit, state.order.count > 1 {
                state.evicted = true
                state.bytes -= state.held.removeValue(forKey: state.order.removeFirst())?.bytes ?? 0
            }
        }
        return loaded
    }
}
