/// How one feature comes from a branch, and its normalisation: `(x - offset) * scale`, `fill` where missing, all in Float32.
package struct FeatureSchema: Codable, Sendable, Equatable {
    package struct Input: Codable, Sendable, Equatable {
        package var branch: String
        /// Values taken of each entry: 1, the fixed number, or the padded one.
        package var width: Int
        package var jagged: Bool
        /// One each for all the branch's values.
        package var offset: Float
        package var scale: Float
        package var fill: Float

        package init(branch: String, width: Int, jagged: Bool, offset: Float, scale: Float, fill: Float) {
            self.branch = branch
            self.width = width
            self.jagged = jagged
            self.offset = offset
            self.scale = scale
            self.fill = fill
        }
    }

    package var inputs: [Input]

    package init(inputs: [Input]) { self.inputs = inputs }

    /// Features in a row.
    package var width: Int { inputs.reduce(0) { $0 + $1.width } }

    /// `branch` for single values, `branch[i]` for others, in the row's order.
    package var names: [String] {
        inputs.flatMap { input in
            input.width == 1 && !input.jagged ? [input.branch] : (0..<input.width).map { "\(input.branch)[\($0)]" }
        }
    }

    /// The branches whose values were all alike in the training part.
    package var constants: [String] { inputs.filter { $0.scale == 0 }.map(\.branch) }
}

/// A part of a block that one lane trains on: rows `train` of the block's training rows, and so on.
package struct LanePiece: Codable, Sendable, Equatable {
    /// Index into the manifest's blocks.
    package var block: Int
    package var rows: [Range<Int>]

    package init(block: Int, rows: [Range<Int>]) {
        self.block = block
        self.rows = rows
    }
}

/// A block of a file with what training must know of it.
package struct TrainingBlock: Codable, Sendable, Equatable {
    package var dataset: Int
    package var label: Int
    /// Index into the manifest's inputs.
    package var input: Int
    package var first: Int64
    package var end: Int64
    /// Rows for train, validation, test.
    package var rows: [Int]

    package init(dataset: Int, label: Int, input: Int, first: Int64, end: Int64, rows: [Int]) {
        self.dataset = dataset
        self.label = label
        self.input = input
        self.first = first
        self.end = end
        self.rows = rows
    }
}

/// All that determines a training: the same bytes for every member and every round.
package struct TrainingManifest: Codable, Sendable, Equatable {
    package var training: JobDescription.Training
    package var split: JobDescription.Split
    package var labelBranch: String?
    package var schema: FeatureSchema
    package var inputs: [InputTree]
    package var blocks: [TrainingBlock]
    /// The lanes' pieces; datasets are interleaved when they are read.
    package var lanes: [[LanePiece]]

    package init(
        training: JobDescription.Training, split: JobDescription.Split, labelBranch: String?, schema: FeatureSchema,
        inputs: [InputTree], blocks: [TrainingBlock], lanes: [[LanePiece]]
    ) {
        self.training = training
        self.split = split
        self.labelBranch = labelBranch
        self.schema = schema
        self.inputs = inputs
        self.blocks = blocks
        self.lanes = lanes
    }

    /// Rows of a lane in each step, of the global batch: floor((l+1) B/L) - floor(l B/L).
    package func batch(ofLane lane: Int) -> Int {
        (lane + 1) * training.batch / lanes.count - lane * training.batch / lanes.count
    }

    /// As many as the longest lane needs.
    package var stepsPerEpoch: Int64 {
        lanes.indices.map { lane in
            let batch = max(1, batch(ofLane: lane))
            return Int64((lanes[lane].reduce(0) { $0 + $1.rows[0].count } + batch - 1) / batch)
        }.max() ?? 0
    }

    package var datasets: Int { (blocks.map(\.dataset).max() ?? -1) + 1 }
}
