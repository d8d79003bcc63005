import Bytes
import Columns

/// Turns the columns of a block into ragged samples, one part at a time.
struct EventStoreBuilder {
    private let schema: DataSchema
    private let batch: ColumnBatch
    private let channels: [Channel]
    /// The most values taken of one entry, for each channel.
    private let limits: [Int]

    init(_ schema: DataSchema, _ batch: ColumnBatch) {
        self.schema = schema
        self.batch = batch
        channels = schema.channels
        limits = schema.inputs.flatMap { input in
            input.channels.map { channel in
                switch input.kind {
                case .flat: return channel.width
                case .sequence(let length):
                    guard let length else { return Int(Int32.max) }
                    return min(Int(Int32.max), length.multipliedReportingOverflow(by: channel.width).partialValue)
                case .image: return Int(Int32.max)
                }
            }
        }
        precondition(batch.columns.count >= channels.count)
    }

    /// The samples of some entries, and what was left out of them.
    struct Built {
        var samples: EventSamples
        var truncated: Int64
        var outsideGrid: Int64
    }

    func samples(
        _ entries: [Int], labels: [Int32], targets: [Float]?
    ) throws(InputError) -> Built {
        var lengths: [[Int32]] = []
        var lengthIndices = [Int](repeating: -1, count: channels.count)
        for (index, channel) in channels.enumerated() where channel.jagged {
            let column = batch.columns[index]
            let own = entries.map { Int32(min(limits[index], column.valueRange($0..<$0 + 1).count)) }
            // The channels of one collection share their lengths.
            if let known = lengths.firstIndex(of: own) {
                lengthIndices[index] = known
            } else {
                lengthIndices[index] = lengths.count
                lengths.append(own)
            }
        }
        try checkCollections(entries, lengths, lengthIndices)
        let fixedWidth = channels.reduce(0) { $0 + ($1.jagged ? 0 : $1.width) }
        let isRagged = channels.contains(where: \.jagged)
        var starts: [Int] = []
        var total = fixedWidth * entries.count
        if isRagged {
            total = 0
            for sample in entries.indices {
                starts.append(total)
                total += fixedWidth
                for index in lengthIndices where index >= 0 { total += Int(lengths[index][sample]) }
            }
        }
        var values = [Float](repeating: .nan, count: total)
        var cursors = isRagged ? starts : entries.indices.map { $0 * fixedWidth }
        var truncated: Int64 = 0
        values.withUnsafeMutableBufferPointer { target in
            for (index, channel) in channels.enumerated() {
                truncated += batch.columns[index].withValues(
                    CopyVisitor(
                        column: batch.columns[index], entries: entries, limit: limits[index],
                        target: target, cursors: cursors))
                for sample in entries.indices {
                    let known = lengthIndices[index]
                    cursors[sample] += known < 0 ? channel.width : Int(lengths[known][sample])
                }
            }
        }
        let samples = EventSamples(
            values: values, stride: isRagged ? nil : fixedWidth, starts: starts,
            lengths: entries.indices.flatMap { sample in lengths.map { $0[sample] } },
            collections: lengths.count, lengthIndices: lengthIndices, firstEntry: batch.first,
            entries: entries.map { UInt32($0) }, labels: labels,
            targets: targets, weights: nil)
        return Built(samples: samples, truncated: truncated, outsideGrid: outsideGrid(samples))
    }

    /// Copies the values of each entry to where its sample wants them; what an entry lacks stays NaN.
    private struct CopyVisitor: ColumnVisitor {
        let column: Column
        let entries: [Int]
        let limit: Int
        let target: UnsafeMutableBufferPointer<Float>
        /// For each entry the index in `target` of its first value.
        let cursors: [Int]

        /// - Returns: the number of values beyond the limit.
        func visit<Value: NativeValue>(_ values: UnsafeBufferPointer<Value>) -> Int64 {
            var truncated: Int64 = 0
            for (sample, entry) in entries.enumerated() {
                let range = column.valueRange(entry..<entry + 1)
                let start = cursors[sample]
                let count = min(limit, range.count)
                for index in 0..<count { target[start + index] = values[range.lowerBound + index].float32 }
                truncated += Int64(range.count - count)
            }
            return truncated
        }
    }

    /// The channels of a sequence or an image must belong to one collection.
    private func checkCollections(
        _ entries: [Int], _ lengths: [[Int32]], _ lengthIndices: [Int]
    ) throws(InputError) {
        var first = 0
        for input in schema.inputs {
            defer { first += input.channels.count }
            guard input.kind != .flat else { continue }
            for (index, channel) in input.channels.enumerated() {
                let own = lengths[lengthIndices[first + index]]
                let other = lengths[lengthIndices[first]]
                for sample in entries.indices
                where Int(own[sample]) * input.channels[0].width != Int(other[sample]) * channel.width {
                    throw InputError(
                        .input, "the branches of the input \(input.name) have different numbers of items",
                        object: "entry \(batch.first + Int64(entries[sample]))",
                        expected: "\(other[sample]) values of \(input.channels[0].branch)",
                        found: "\(own[sample]) values of \(channel.branch)",
                        hint: "The branches of a sequence or an image must share one counter.")
                }
            }
        }
    }

    private func outsideGrid(_ samples: EventSamples) -> Int64 {
        var outside: Int64 = 0
        var first = 0
        for input in schema.inputs {
            defer { first += input.channels.count }
            guard case .image(let grid) = input.kind else { continue }
            for sample in 0..<samples.count {
                var start = samples.start(sample)
                for channel in 0..<first {
                    start += samples.length(sample, of: channel, width: channels[channel].width)
                }
                let items = samples.length(sample, of: first, width: 1)
                for item in start..<start + items
                where grid.pixel(x: samples.values[item], y: samples.values[item + items]) == nil {
                    outside += 1
                }
            }
        }
        return outside
    }
}
