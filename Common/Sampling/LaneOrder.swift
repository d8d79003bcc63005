import Cluster

/// A row of a block's training part.
package struct RowReference: Equatable, Sendable {
    package var block: Int
    package var row: Int
}

/// The order in which one lane gives its training rows in one epoch: pieces permuted, then rows within a window of
/// pieces, from (seed, epoch, lane); datasets interleaved by what remains.
package struct LaneOrder {
    /// Consecutive pieces whose rows are shuffled together.
    package static let window = 4

    private struct Dataset {
        /// The pieces in this epoch's order, in windows.
        var windows: [[LanePiece]]
        var total: Int
        var emitted = 0
        var window = 0
        var position = 0
        var rows: [RowReference] = []
        let key: UInt64
    }

    private var datasets: [Dataset]
    package let total: Int
    package private(set) var position = 0

    package init(
        _ pieces: [LanePiece], blocks: [TrainingBlock], datasets count: Int, seed: UInt64, epoch: Int, lane: Int
    ) {
        datasets = (0..<count).map { dataset in
            let own = pieces.filter { blocks[$0.block].dataset == dataset && !$0.rows.train.isEmpty }
            let key = RandomStream.laneOrder.key(seed: seed, UInt64(epoch), UInt64(lane), UInt64(dataset))
            var random = SeededRandom(seed: key)
            let order = random.permutation(own.count)
            let windows = stride(from: 0, to: own.count, by: Self.window).map { start in
                order[start..<min(own.count, start + Self.window)].map { own[$0] }
            }
            return Dataset(windows: windows, total: own.reduce(0) { $0 + $1.rows.train.count }, key: key)
        }
        total = datasets.reduce(0) { $0 + $1.total }
    }

    /// The dataset whose share lags most behind; ties go to the first.
    private func nextDataset() -> Int {
        var best = -1
        var lag = Int.min
        for (index, dataset) in datasets.enumerated() where dataset.emitted < dataset.total {
            let own = (position + 1) * dataset.total - dataset.emitted * total
            if own > lag { (best, lag) = (index, own) }
        }
        return best
    }

    /// Goes over rows that an earlier round has seen. Reads nothing.
    package mutating func skip(_ count: Int) {
        for _ in 0..<min(count, total - position) {
            datasets[nextDataset()].emitted += 1
            position += 1
        }
        for index in datasets.indices { locate(index) }
    }

    /// Finds the window that holds the next row.
    private mutating func locate(_ index: Int) {
        var left = datasets[index].emitted
        datasets[index].window = 0
        datasets[index].rows = []
        for window in datasets[index].windows {
            let size = window.reduce(0) { $0 + $1.rows.train.count }
            if left < size { break }
            left -= size
            datasets[index].window += 1
        }
        datasets[index].position = left
    }

    /// The next row, or nil at the lane's end.
    package mutating func next() -> RowReference? {
        guard position < total else { return nil }
        let index = nextDataset()
        if datasets[index].rows.isEmpty { shuffle(index) }
        let row = datasets[index].rows[datasets[index].position]
        datasets[index].position += 1
        datasets[index].emitted += 1
        if datasets[index].position == datasets[index].rows.count {
            datasets[index].window += 1
            datasets[index].position = 0
            datasets[index].rows = []
        }
        position += 1
        return row
    }

    private mutating func shuffle(_ index: Int) {
        let dataset = datasets[index]
        let rows = dataset.windows[dataset.window].flatMap { piece in
            piece.rows.train.map { RowReference(block: piece.block, row: $0) }
        }
        var random = SeededRandom(seed: mix(dataset.key, UInt64(dataset.window)))
        datasets[index].rows = random.permutation(rows.count).map { rows[$0] }
    }
}
