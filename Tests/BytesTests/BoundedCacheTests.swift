import Bytes
import Testing

@Suite struct BoundedCacheTests {
    /// The same cache with lists: slow, and plainly right.
    struct Model {
        var entries: [(key: Int, value: Int, cost: Int)] = []
        let limit: Int
        var evictions = 0
        var cost: Int { entries.reduce(0) { $0 + $1.cost } }

        mutating func value(_ key: Int) -> Int? {
            guard let index = entries.firstIndex(where: { $0.key == key }) else { return nil }
            entries.append(entries.remove(at: index))
            return entries.last?.value
        }

        mutating func insert(_ value: Int, _ key: Int, _ cost: Int) {
            entries.removeAll { $0.key == key }
            entries.append((key, value, cost))
            while self.cost > limit, entries.count > 1 {
                entries.removeFirst()
                evictions += 1
            }
        }
    }

    @Test(arguments: [1, 7, 40]) func itIsAListOfTheLatestUses(_ limit: Int) {
        var random = SplitMix(state: UInt64(limit))
        var cache = BoundedCache<Int, Int>(limit: limit)
        var model = Model(limit: limit)
        for step in 0..<5000 {
            let key = Int.random(in: 0..<20, using: &random)
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<45:
                let (found, expected) = (cache.value(for: key), model.value(key))
                #expect(found == expected)
            case 45..<90:
                let cost = Int.random(in: 0...9, using: &random)
                cache.insert(step, for: key, cost: cost)
                model.insert(step, key, cost)
            case 90..<99:
                let expected = model.entries.first { $0.key == key }?.value
                model.entries.removeAll { $0.key == key }
                let removed = cache.remove(key)
                #expect(removed == expected)
            default:
                model.entries = []
                cache.removeAll()
            }
            #expect(cache.peek(key) == model.entries.first { $0.key == key }?.value)
            #expect(cache.count == model.entries.count && cache.cost == model.cost)
            #expect(cache.evictions == model.evictions)
        }
    }

    @Test func theNewestStaysHoweverLarge() {
        var cache = BoundedCache<String, Int>(limit: 10)
        cache.insert(1, for: "small")
        cache.insert(2, for: "large", cost: 100)
        #expect(cache.peek("small") == nil)
        #expect(cache.peek("large") == 2)
    }

    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
            return z ^ z >> 31
        }
    }
}
