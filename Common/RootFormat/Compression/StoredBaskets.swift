package import Bytes
import Dispatch
import Storage
import Synchronization

/// The stored baskets of branches, held in memory to be inflated and nothing else: the limit that reading is measured
/// against.
package final class StoredBaskets: Sendable {
    private struct Basket: Sendable {
        let payload: [UInt8]
        let inflated: Int
    }

    private let baskets: [Basket]
    package let storedBytes: Int
    package let inflatedBytes: Int

    package init(_ inputs: [(file: RootFile, branches: [BranchDescription])]) throws(InputError) {
        var found: [Basket] = []
        for (file, branches) in inputs {
            for branch in branches where branch.leafIndex == 0 {
                guard case .baskets(let store, _) = branch.storage else { continue }
                for case .stored(let offset, let length) in store.baskets.map(\.location) {
                    let record = try file.source.read([ByteRange(offset: offset, length: length)]).bytes(0)
                    var reader = ByteReader(record.span.bytes)
                    let key = try BasketKey(&reader)
                    guard key.headerLength <= record.count,
                        Inflater.isPlausible(key.objectLength, from: record.count - key.headerLength)
                    else { continue }
                    found.append(Basket(payload: Array(record[key.headerLength...]), inflated: key.objectLength))
                }
            }
        }
        baskets = found
        storedBytes = found.reduce(0) { $0 + $1.payload.count }
        inflatedBytes = found.reduce(0) { $0 + $1.inflated }
    }

    /// Inflates each once into a buffer that is used again.
    package func inflate(threads: Int) throws(InputError) {
        let next = Atomic<Int>(0)
        let failure = Mutex<InputError?>(nil)
        let largest = baskets.map(\.inflated).max() ?? 0
        DispatchQueue.concurrentPerform(iterations: threads) { _ in
            let inflater = Inflater()
            let buffer = AlignedBuffer(capacity: largest)
            while true {
                let index = next.add(1, ordering: .relaxed).oldValue
                guard index < baskets.count else { return }
                let target = UnsafeMutableRawBufferPointer(start: buffer.pointer, count: baskets[index].inflated)
                let error = baskets[index].payload.withUnsafeBytes { payload -> InputError? in
                    do throws(InputError) { try inflater.inflate(payload, into: target) } catch { return error }
                    return nil
                }
                if let error { failure.withLock { $0 = error } }
            }
        }
        if let error = failure.withLock({ $0 }) { throw error }
    }
}
