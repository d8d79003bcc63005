/// How far the bits of a trained model are determined.
package enum Exactness: String, Codable, Sendable, CaseIterable {
    /// By the job and its data alone, on any host.
    case job
    /// By the versions of the user's frameworks and the type of the processor as well.
    case environment
}

/// How a model is trained: together with a data plan, all that determines a training. Trainings of one data plan differ
/// in it.
package struct TrainingPlan: Codable, Sendable, Equatable {
    /// The format that is written.
    package static let currentFormat = 3

    package var layers: [JobDescription.Layer]
    package var optimizer: JobDescription.Optimizer
    package var loss: JobDescription.Loss
    package var lossSettings: JobDescription.LossSettings
    /// How it goes on from step to step and from epoch to epoch.
    package var course: TrainingCourseSettings
    /// Samples of all lanes in one step.
    package var batch: Int
    package var epochs: Int
    /// The seed of initial values, the lanes' orders and dropout.
    package var seed: UInt64
    package var exactness: Exactness
    /// How many samples a lane mixes.
    package var shuffle: JobDescription.Shuffle
    /// Whether each epoch ends with a pass over the whole training part.
    package var evaluatesTrain: Bool

    package init(_ training: JobDescription.Training, seed: UInt64, exactness: Exactness = .job) {
        layers = training.layers
        optimizer = training.optimizer
        loss = training.loss
        lossSettings = training.lossSettings
        course = training.course
        batch = training.batch
        epochs = training.epochs
        self.seed = seed
        self.exactness = exactness
        shuffle = training.shuffle
        evaluatesTrain = training.evaluatesTrain
    }

    /// The number of classes that the model distinguishes; nil where its last layer does not determine it, or where it
    /// learns a target.
    package var classes: Int? {
        guard !loss.isRegression, case .dense(let units, _, _)? = layers.last else { return nil }
        return max(2, units)
    }

    /// The units of a last layer whose scores are one for each class; nil for other last layers.
    package var outputUnits: Int? {
        guard case .dense(let units, .softmax, _)? = layers.last else { return nil }
        return units
    }

    private enum CodingKeys: CodingKey {
        case format, layers, optimizer, loss, lossSettings, course, batch, epochs, seed, exactness, shuffle,
            evaluatesTrain
    }

    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        let format = try keys.decodeIfPresent(Int.self, forKey: .format) ?? 1
        guard format <= Self.currentFormat else {
            throw DecodingError.dataCorruptedError(
                forKey: .format, in: keys,
                debugDescription: "a training plan of format \(format) was written by a newer version of Beamline; "
                    + "this one reads formats up to \(Self.currentFormat)")
        }
        let defaults = JobDescription.Training()
        layers = try keys.decode([JobDescription.Layer].self, forKey: .layers)
        optimizer =
            try keys.decodeIfPresent(JobDescription.Optimizer.self, forKey: .optimizer) ?? defaults.optimizer
        loss = try keys.decodeIfPresent(JobDescription.Loss.self, forKey: .loss) ?? defaults.loss
        lossSettings =
            try keys.decodeIfPresent(JobDescription.LossSettings.self, forKey: .lossSettings) ?? defaults.lossSettings
        course = try keys.decodeIfPresent(TrainingCourseSettings.self, forKey: .course) ?? defaults.course
        batch = try keys.decodeIfPresent(Int.self, forKey: .batch) ?? defaults.batch
        epochs = try keys.decodeIfPresent(Int.self, forKey: .epochs) ?? defaults.epochs
        seed = try keys.decode(UInt64.self, forKey: .seed)
        exactness = try keys.decodeIfPresent(Exactness.self, forKey: .exactness) ?? .job
        shuffle = try keys.decodeIfPresent(JobDescription.Shuffle.self, forKey: .shuffle) ?? .automatic
        evaluatesTrain = try keys.decodeIfPresent(Bool.self, forKey: .evaluatesTrain) ?? true
    }

    package func encode(to encoder: any Encoder) throws {
        var keys = encoder.container(keyedBy: CodingKeys.self)
        try keys.encode(Self.currentFormat, forKey: .format)
        try keys.encode(layers, forKey: .layers)
        try keys.encode(optimizer, forKey: .optimizer)
        try keys.encode(loss, forKey: .loss)
        try keys.encode(lossSettings, forKey: .lossSettings)
        try keys.encode(course, forKey: .course)
        try keys.encode(batch, forKey: .batch)
        try keys.encode(epochs, forKey: .epochs)
        try keys.encode(seed, forKey: .seed)
        try keys.encode(exactness, forKey: .exactness)
        try keys.encode(shuffle, forKey: .shuffle)
        try keys.encode(evaluatesTrain, forKey: .evaluatesTrain)
    }
}
