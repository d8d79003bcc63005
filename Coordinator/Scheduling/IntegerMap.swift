package import Cluster

/// A key that is one number of 64 bits.
package protocol IntegerKey: Sendable {
    var mapKey: Int64 { get }
    init(mapKey: Int64)
}

extension Identifier where Self: IntegerKey {
    package var mapKey: Int64 { rawValue }
    package init(mapKey: Int64) { self.init(rawValue: mapKey) }
}

extension JobID: IntegerKey {}
extension TaskID: IntegerKey {}
extension WorkerID: IntegerKey {}

/// Files are their numbers; patterns are the negative ones, from -1 down.
extension UnitID: IntegerKey {
    package var mapKey: Int64 {
        switch self {
        case .pattern(let index): -1 - Int64(index)
        case .file(let id): id.rawValue
        }
    }

    package init(mapKey: Int64) {
        self = mapKey < 0 ? .pattern(Int(-1 - mapKey)) : .file(FileID(mapKey))
    }
}

/// Values by number, without order: insertion, removal and lookup in constant time, and the same layout in every
/// process, which Swift's Dictionary does not give (its hashes are seeded) and OrderedDictionary does not give for
/// removals.
///
/// Open addressing with linear probing; a removal moves what follows back, so that there are no tombstones.
package struct IntegerMap<Key: IntegerKey, Value: Sendable>: Sendable {
    private var keys: [Int64] = []
    private var values: [Value?] = []
    package private(set) var count = 0

    package init() {}

    package var isEmpty: Bool { count == 0 }

    private func home(_ key: Int64) -> Int { Int(truncatingIfNeeded: mix(UInt64(bitPattern: key))) & (keys.count - 1) }

    /// The index of a key, or the free one where it would be.
    private func find(_ key: Int64) -> Int {
        var index = home(key)
        while values[index] != nil, keys[index] != key { index = (index + 1) & (keys.count - 1) }
        return index
    }

    package subscript(key: Key) -> Value? {
        get { keys.isEmpty ? nil : values[find(key.mapKey)] }
        set {
            guard let newValue else { return remove(key.mapKey) }
            if 4 * (count + 1) > 3 * keys.count { grow() }
            let index = find(key.mapKey)
            if values[index] == nil { count += 1 }
            keys[index] = key.mapKey
            values[index] = newValue
        }
    }

    /// Changes a value where it lies.
    /// - Returns: nil where there is none.
    @discardableResult
    package mutating func change<Result>(_ key: Key, _ body: (inout Value) -> Result) -> Result? {
        guard !keys.isEmpty else { return nil }
        let index = find(key.mapKey)
        return values[index] == nil ? nil : body(&values[index]!)
    }

    private mutating func remove(_ key: Int64) {
        guard !keys.isEmpty else { return }
        var hole = find(key)
        guard values[hole] != nil else { return }
        values[hole] = nil
        count -= 1
        let mask = keys.count - 1
        var next = (hole + 1) & mask
        while values[next] != nil {
            // What lies beyond its home may move back as far as that.
            if (next &- home(keys[next])) & mask >= (next &- hole) & mask {
                keys[hole] = keys[next]
                values[hole] = values[next]
                values[next] = nil
                hole = next
            }
            next = (next + 1) & mask
        }
    }

    private mutating func grow() {
        let old = (keys, values)
        keys = .init(repeating: 0, count: max(16, 2 * old.0.count))
        values = .init(repeating: nil, count: keys.count)
        for (index, value) in old.1.enumerated() where value != nil {
            let target = find(old.0[index])
            keys[target] = old.0[index]
            values[target] = value
        }
    }

    /// The keys, ascending.
    package var sortedKeys: [Key] {
        values.indices.filter { values[$0] != nil }.map { keys[$0] }.sorted().map(Key.init(mapKey:))
    }
}
