/// Near ranges merged into fewer, larger ones.
struct CoalescedRanges {
    /// What to read, sorted by offset.
    private(set) var merged: [ByteRange] = []
    /// For each merged one: the ranges that lie in it.
    private var members: [Range<Int>] = []
    /// Indices of the ranges, by offset.
    private let order: [Int]

    /// - Parameters:
    ///   - gap: ranges with fewer bytes than this between them become one; what lies between is thrown away.
    ///   - limit: a merged range is no longer than this unless one alone is, or ranges overlap.
    init(_ fetch: RangeFetch, gap: Int, limit: Int) {
        let ranges = fetch.ranges
        let missing = fetch.missing
        // Mostly they come in order; sorting would cost more than all the rest.
        let rising = zip(missing, missing.dropFirst()).allSatisfy { ranges[$0].offset <= ranges[$1].offset }
        order = rising ? missing : missing.sorted { ranges[$0].offset < ranges[$1].offset }
        merged.reserveCapacity(order.count)
        members.reserveCapacity(order.count)
        for (position, index) in order.enumerated() {
            let range = ranges[index]
            // Ranges that overlap are one, however long: a file cannot make more be read than it has.
            if let last = merged.last,
                range.offset < last.end || range.offset <= last.end + gap && range.end - last.offset <= limit
            {
                merged[merged.count - 1].length = max(range.end, last.end) - last.offset
                members[members.count - 1] = members[members.count - 1].lowerBound..<position + 1
            } else {
                merged.append(range)
                members.append(position..<position + 1)
            }
        }
    }

    /// Bytes that travel, gaps included.
    var bytes: Int { merged.reduce(0) { $0 + $1.length } }

    /// Sets the ranges that lie in a merged one.
    /// - Parameter pointer: to the merged range's bytes.
    func set(_ home: Int, to pointer: UnsafeRawPointer, in fetch: RangeFetch) {
        for position in members[home] {
            let index = order[position]
            fetch.set(index, to: pointer + (fetch.ranges[index].offset - merged[home].offset))
        }
    }
}
