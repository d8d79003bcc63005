package import Bytes
package import Cluster
package import Columns

/// The samples of a block by part, ragged, as they were read: no padding is stored, and nothing is normalised.
/// `BatchAssembler` makes batches of them.
package struct EventStore: Sendable {
    package let parts: PartTable<EventSamples>
    /// Values and items left out because an entry has more than the schema takes.
    package let truncated: Int64
    /// Items of image inputs that lie outside their grid; they are stored and add to no pixel.
    package let outsideGrid: Int64

    package init(parts: PartTable<EventSamples>, truncated: Int64 = 0, outsideGrid: Int64 = 0) {
        self.parts = parts
        self.truncated = truncated
        self.outsideGrid = outsideGrid
        maxLabel = parts.values.compactMap { $0.labels.max() }.max()
    }

    /// The largest class of any sample; nil where there is no sample.
    package let maxLabel: Int32?

    package subscript(part: SplitPart) -> EventSamples { parts[part] }

    /// Bytes in memory of all parts.
    package var bytes: Int { parts.values.reduce(0) { $0 + $1.bytes } }

    /// Makes the samples of a block from its columns.
    ///
    /// - Parameters:
    ///   - schema: its channels are the first columns of `batch`, in order.
    ///   - batch: the block's columns.
    ///   - entries: the entries of each part, counted from the batch's first.
    ///   - labels: the class of each of those entries.
    ///   - targets: the target of each of them; nil where classes are learnt.
    /// - Throws: `InputError` where the channels of a sequence or an image have different numbers of items in an entry.
    package init(
        _ schema: DataSchema, _ batch: ColumnBatch, entries: PartTable<[Int]>, labels: PartTable<[Int32]>,
        targets: PartTable<[Float]>? = nil
    ) throws(InputError) {
        let builder = EventStoreBuilder(schema, batch)
        let parts = try PartTable.make { (part: SplitPart) throws(InputError) in
            try builder.samples(entries[part], labels: labels[part], targets: targets?[part])
        }
        self.init(
            parts: parts.map(\.samples), truncated: parts.values.reduce(0) { $0 + $1.truncated },
            outsideGrid: parts.values.reduce(0) { $0 + $1.outsideGrid })
    }

    /// Makes samples from full rows of a schema that has flat inputs only: what a client sends, and tests.
    ///
    /// - Parameters:
    ///   - rows: `[samples, features]` of each part in C order, NaN where a value is missing.
    ///   - labels: `[samples]` of each part.
    ///   - targets: `[samples]` of each part; nil where classes are learnt.
    package init(
        _ schema: DataSchema, rows: PartTable<[Float]>, labels: PartTable<[Int32]>, targets: PartTable<[Float]>? = nil
    ) {
        let width = schema.flatWidth
        precondition(schema.inputs.allSatisfy { $0.kind == .flat })
        self.init(
            parts: PartTable.make { part in
                let count = labels[part].count
                precondition(rows[part].count == count * width)
                return EventSamples(
                    values: rows[part], stride: width, starts: [], lengths: [], collections: 0,
                    lengthIndices: .init(repeating: -1, count: schema.channels.count), firstEntry: 0,
                    entries: (0..<count).map { UInt32($0) }, labels: labels[part],
                    targets: targets?[part], weights: nil)
            })
    }
}
