import Cluster
import OrderedCollections

/// A sample of the training part of one of a lane's pieces.
package struct SampleReference: Equatable, Hashable, Sendable {
    /// The index of its piece in the lane.
    package var piece: Int32
    /// Its index among the training samples of the piece's block.
    package var row: Int32
}

/// The order in which one lane gives its training samples in one epoch, as if drawn from all its files at once.
///
/// A lane reads several streams side by side: a file each, or several files where a dataset has more than 16. The next
/// sample's stream is drawn with a probability in proportion to what remains of each. Within a stream the pieces follow
/// in a drawn order, and their samples pass through a shuffle buffer. Where the buffers hold everything, the order is a
/// uniformly random permutation. All of it follows from the key and the data plan; nothing is read.
package struct LaneOrder: Sendable {
    /// The most streams of one dataset.
    package static let maxStreams = 16

    private var streams: [LaneStream] = []
    private var random: SeededRandom
    /// For each piece the samples that were not given yet.
    private var left: [Int]
    /// The training samples of the lane.
    package let total: Int
    /// The samples given so far.
    package private(set) var position = 0

    /// Makes the order of an epoch.
    ///
    /// - Parameters:
    ///   - pieces: the lane's pieces.
    ///   - blocks: the data plan's blocks.
    ///   - shuffle: about how many samples the lane's buffers hold together; nil mixes all.
    ///   - key: the key of the random numbers of (seed, epoch, lane).
    package init(_ pieces: [LanePiece], blocks: [TrainingBlock], shuffle: Int?, key: UInt64) {
        var random = SeededRandom(seed: key)
        let total = pieces.reduce(0) { $0 + $1.rows.train.count }
        // Datasets, their files, and the files' pieces, in the order of the plan's indices.
        var files: OrderedDictionary<Int, OrderedDictionary<Int, [LaneStream.Piece]>> = [:]
        for index in pieces.indices.sorted(by: { pieces[$0].block < pieces[$1].block }) {
            let (block, rows) = (blocks[pieces[index].block], pieces[index].rows.train)
            guard !rows.isEmpty else { continue }
            files[block.dataset, default: [:]][block.input, default: []].append(.init(index: index, rows: rows))
        }
        files.sort { $0.key < $1.key }
        for own in files.values {
            let order = random.permutation(own.count).map { own.values[$0] }
            let count = min(Self.maxStreams, own.count)
            for stream in 0..<count {
                let mine = stride(from: stream, to: order.count, by: count).flatMap { order[$0] }
                let shuffled = random.permutation(mine.count).map { mine[$0] }
                let size = shuffled.reduce(0) { $0 + $1.rows.count }
                let share = shuffle.map { max(1, Int((Double($0) * Double(size) / Double(total)).rounded())) }
                streams.append(LaneStream(shuffled, size: size, capacity: share ?? size))
            }
        }
        self.random = random
        self.total = total
        left = pieces.map(\.rows.train.count)
    }

    /// Gives the next sample, or nil at the lane's end.
    package mutating func next() -> SampleReference? {
        guard position < total else { return nil }
        var draw = random.below(total - position)
        var index = 0
        while draw >= streams[index].remaining {
            draw -= streams[index].remaining
            index += 1
        }
        position += 1
        let sample = streams[index].next(&random)
        left[Int(sample.piece)] -= 1
        return sample
    }

    /// Whether all of a piece's samples were given.
    package func isFinished(_ piece: Int32) -> Bool { left[Int(piece)] == 0 }

    /// Passes over samples that were given before.
    package mutating func skip(_ count: Int) {
        for _ in 0..<min(count, total - position) { _ = next() }
    }
}

/// Pieces that follow each other, mixed by a shuffle buffer.
private struct LaneStream: Sendable {
    struct Piece: Sendable {
        var index: Int
        var rows: Range<Int>
    }

    private let pieces: [Piece]
    private let capacity: Int
    private var buffer: [SampleReference] = []
    private var piece = 0
    private var row = 0
    /// The samples that were not given yet.
    private(set) var remaining: Int

    init(_ pieces: [Piece], size: Int, capacity: Int) {
        self.pieces = pieces
        self.capacity = capacity
        remaining = size
        buffer.reserveCapacity(min(size, capacity))
    }

    /// - Precondition: `remaining` is above 0.
    mutating func next(_ random: inout SeededRandom) -> SampleReference {
        while buffer.count < capacity, let sample = read() { buffer.append(sample) }
        let slot = random.below(buffer.count)
        let sample = buffer[slot]
        buffer[slot] = buffer[buffer.count - 1]
        buffer.removeLast()
        remaining -= 1
        return sample
    }

    private mutating func read() -> SampleReference? {
        guard piece < pieces.count else { return nil }
        let own = pieces[piece]
        let sample = SampleReference(piece: Int32(own.index), row: Int32(own.rows.lowerBound + row))
        row += 1
        if row == own.rows.count { (piece, row) = (piece + 1, 0) }
        return sample
    }
}
