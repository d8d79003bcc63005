/// What a member of a round reports.
package enum TrainingReport: Codable, Sendable, Equatable {
    case progress(step: Int64, epoch: Int, stepsPerEpoch: Int64, stepsPerSecond: Double, loss: Double)
    /// A checkpoint was stored under `digest`; `metrics` of all epochs that ended since the one that the round began
    /// with.
    case checkpoint(digest: String, step: Int64, metrics: [EpochMetrics])
    /// The training is at its end, and its last state stored under `digest`; `evaluation` is nil in reports of earlier
    /// versions.
    case finished(
        digest: String, step: Int64, test: PartMetrics, truncated: Int64, evaluation: EvaluationReport? = nil)
    /// This member left the round; `fatal` where another round would end the same way; `input` the index of the data
    /// plan's input that cannot be read; `lost` the ranks of the members that it could not reach, empty where nobody
    /// can be named, and nil where it could not do its own part.
    case failed(reason: String, fatal: Bool, input: Int?, lost: [Int]? = nil)
}

/// The metrics at the end of one epoch, of the training and the validation part.
///
/// Those of the training part are the running loss of the epoch's steps, with dropout and before each step's update;
/// or, where the job asks for it, those of the whole part at the epoch's end.
package struct EpochMetrics: Codable, Sendable, Equatable {
    /// The epoch's number, from 1.
    package var epoch: Int
    package var train: PartMetrics
    package var validation: PartMetrics

    package init(epoch: Int, train: PartMetrics, validation: PartMetrics) {
        self.epoch = epoch
        self.train = train
        self.validation = validation
    }
}
