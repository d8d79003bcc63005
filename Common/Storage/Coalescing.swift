/// Near ranges merged into fewer, larger ones.
struct CoalescedRanges {
    /// What to read, sorted by offset.
    var merged: [ByteRange] = []
    /// For each range asked for: the merged one it lies in.
    var home: [Int]

    init(_ ranges: [ByteRange], gap: Int, limit: Int) {
        home = [Int](repeating: 0, count: ranges.count)
        merged.reserveCapacity(ranges.count)
        // Mostly they come in order; sorting would cost more than all the rest.
        let rising = zip(ranges, ranges.dropFirst()).allSatisfy { $0.offset <= $1.offset }
        let order = rising ? Array(ranges.indices) : ranges.indices.sorted { ranges[$0].offset < ranges[$1].offset }
        for index in order {
            let range = ranges[index]
            // Ranges that overlap are one, however long: a file cannot make more be read than it has.
            if let last = merged.last,
                range.offset < last.end || range.offset <= last.end + gap && range.end - last.offset <= limit {
                merged[merged.count - 1].length = max(range.end, last.end) - last.offset
            } else {
                merged.append(range)
            }
            home[index] = merged.count - 1
        }
    }
}
