import Bytes
import Cluster

/// Events by time; those of one time in the order they were made.
struct SimClock {
    private struct Entry {
        let time: Double
        let number: Int
        let body: () throws -> Void
    }

    private var heap: [Entry] = []
    private var count = 0
    private(set) var now = 0.0

    mutating func at(_ time: Double, _ body: @escaping () throws -> Void) {
        count += 1
        heap.append(Entry(time: max(now, time), number: count, body: body))
        var index = heap.count - 1
        while index > 0, isBefore(index, (index - 1) / 2) {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private func isBefore(_ a: Int, _ b: Int) -> Bool {
        (heap[a].time, heap[a].number) < (heap[b].time, heap[b].number)
    }

    /// The next event's body; nil where nothing is left.
    mutating func next() -> (() throws -> Void)? {
        guard let first = heap.first else { return nil }
        now = first.time
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first.body }
        heap[0] = last
        var index = 0
        while true {
            var smallest = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count && isBefore(child, smallest) {
                smallest = child
            }
            guard smallest != index else { return first.body }
            heap.swapAt(index, smallest)
            index = smallest
        }
    }
}

/// Random numbers and a record of what happened: two runs of one seed give the same record.
struct SimRecord {
    private(set) var hash = FNV1a()
    private(set) var lines = 0
    var prints = false

    mutating func note(_ time: Double, _ text: @autoclosure () -> String) {
        let line = text()
        lines += 1
        hash.combine(bytes: line.utf8)
        hash.combine(time.bitPattern)
        if prints { print("\(Double(Int(time * 1000)) / 1000) \(line)") }
    }
}

extension SeededRandom {
    /// A number from 0 to below 1.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
    mutating func chance(_ probability: Double) -> Bool { unit() < probability }
    mutating func between(_ low: Double, _ high: Double) -> Double { low + (high - low) * unit() }
}
