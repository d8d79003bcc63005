import Bytes
import Cluster
import Features
import Synchronization

/// The samples of the blocks of one data plan that this member's lanes need, bounded. Where it holds them all, later epochs read no site.
package final class RowCache: Sendable {
    private struct Entry {
        var events: EventStore
        /// The time of the last use, in uses.
        var used: UInt64
    }

    private struct State {
        var held: [Int: Entry] = [:]
        var bytes = 0
        var uses: UInt64 = 0
        /// Blocks were dropped: there is no room for all.
        var hasEvicted = false
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

    /// Whether there is no room for further blocks.
    package var isFull: Bool { state.withLock { $0.hasEvicted || $0.bytes >= limit } }

    /// The samples of the block with this index in the data plan, read where they are not held.
    package func events(_ block: Int) throws(InputError) -> EventStore {
        let known: EventStore? = state.withLock { state in
            state.uses += 1
            state.held[block]?.used = state.uses
            return state.held[block]?.events
        }
        if let known { return known }
        let loaded = try load(block)
        state.withLock { state in
            state.uses += 1
            guard state.held.updateValue(Entry(events: loaded, used: state.uses), forKey: block) == nil else { return }
            state.bytes += loaded.bytes
            while state.bytes > limit, state.held.count > 1 { Self.evict(&state) }
        }
        return loaded
    }

    /// Drops the block that was used longest ago. It is looked for among all: that costs nothing beside the read that made it necessary.
    private static func evict(_ state: inout State) {
        guard let oldest = state.held.min(by: { $0.value.used < $1.value.used })?.key else { return }
        state.bytes -= state.held.removeValue(forKey: oldest)?.events.bytes ?? 0
        state.hasEvicted = true
    }
}
