package import Cluster

/// A block of a file with what training needs to know of it.
package struct TrainingBlock: Codable, Sendable, Equatable {
    /// The index of its dataset in the job.
    package var dataset: Int
    /// The class of its entries, unless a branch gives it.
    package var label: Int
    /// The index of its file in the data plan's inputs.
    package var input: Int
    /// Its entries `first..<end` in the tree.
    package var first: Int64
    package var end: Int64
    /// The number of its samples in each part.
    package var rows: PartTable<Int>

    package init(dataset: Int, label: Int, input: Int, first: Int64, end: Int64, rows: PartTable<Int>) {
        self.dataset = dataset
        self.label = label
        self.input = input
        self.first = first
        self.end = end
        self.rows = rows
    }
}

/// The share of a block that belongs to one lane: a range of the block's samples in each part.
package struct LanePiece: Codable, Sendable, Equatable {
    /// The index of the block in the data plan's blocks.
    package var block: Int
    package var rows: PartTable<Range<Int>>

    package init(block: Int, rows: PartTable<Range<Int>>) {
        self.block = block
        self.rows = rows
    }
}
