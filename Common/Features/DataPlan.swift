package import Cluster
package import Sampling

/// What is trained on: the inputs' schema, and every block with the lane it is dealt to. All trainings on one data plan
/// see the same samples, and a worker keeps one cache of samples for it.
package struct DataPlan: Sendable, Equatable {
    /// The format that is written.
    package static let currentFormat = 2

    package var split: JobDescription.Split
    /// The branch that gives each entry's class; nil where the datasets do.
    package var labelBranch: String?
    package var schema: DataSchema
    /// The trees that are read.
    package var inputs: [InputTree]
    package var blocks: [TrainingBlock]
    /// Each lane's pieces of blocks; datasets are interleaved when they are read.
    package var lanes: [[LanePiece]]

    package init(
        split: JobDescription.Split, labelBranch: String?, schema: DataSchema, inputs: [InputTree],
        blocks: [TrainingBlock], lanes: [[LanePiece]]
    ) {
        self.split = split
        self.labelBranch = labelBranch
        self.schema = schema
        self.inputs = inputs
        self.blocks = blocks
        self.lanes = lanes
    }

    /// Memory for the samples that all lanes of a training mix, where the job names no number.
    private static let shuffleBytes = 512 << 20

    /// How a training walks this plan's lanes.
    package func schedule(_ training: TrainingPlan) -> LaneSchedule {
        let shuffle: Int? =
            switch training.shuffle {
            case .full: nil
            case .samples(let count): max(1, count)
            case .automatic: max(1024, Self.shuffleBytes / max(1, lanes.count * schema.bytesPerSample))
            }
        return LaneSchedule(
            blocks: blocks, lanes: lanes, batch: training.batch, epochs: training.epochs, seed: training.seed,
            shuffle: shuffle)
    }
}

extension DataPlan: Codable {
    private enum CodingKeys: CodingKey { case format, split, labelBranch, schema, inputs, blocks, lanes }

    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        let format = try keys.decodeIfPresent(Int.self, forKey: .format) ?? 1
        guard format <= Self.currentFormat else {
            throw DecodingError.dataCorruptedError(
                forKey: .format, in: keys,
                debugDescription: "a data plan of format \(format) was written by a newer version of Beamline; "
                    + "this one reads formats up to \(Self.currentFormat)")
        }
        split = try keys.decode(JobDescription.Split.self, forKey: .split)
        labelBranch = try keys.decodeIfPresent(String.self, forKey: .labelBranch)
        schema = try keys.decode(DataSchema.self, forKey: .schema)
        inputs = try keys.decode([InputTree].self, forKey: .inputs)
        blocks = try keys.decode([TrainingBlock].self, forKey: .blocks)
        lanes = try keys.decode([[LanePiece]].self, forKey: .lanes)
    }

    package func encode(to encoder: any Encoder) throws {
        var keys = encoder.container(keyedBy: CodingKeys.self)
        try keys.encode(Self.currentFormat, forKey: .format)
        try keys.encode(split, forKey: .split)
        try keys.encodeIfPresent(labelBranch, forKey: .labelBranch)
        try keys.encode(schema, forKey: .schema)
        try keys.encode(inputs, forKey: .inputs)
        try keys.encode(blocks, forKey: .blocks)
        try keys.encode(lanes, forKey: .lanes)
    }
}

/// The document that was both plans in one before they were split: it is read and never written.
package struct CombinedManifest: Decodable, Sendable {
    package let dataPlan: DataPlan
    package let trainingPlan: TrainingPlan

    private enum CodingKeys: CodingKey { case training, split }

    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        dataPlan = try DataPlan(from: decoder)
        trainingPlan = TrainingPlan(
            try keys.decode(JobDescription.Training.self, forKey: .training), seed: dataPlan.split.seed)
    }
}
