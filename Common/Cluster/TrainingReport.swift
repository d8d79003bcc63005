/// What a member of a round reports.
package enum TrainingReport: Codable, Sendable, Equatable {
    case progress(step: Int64, epoch: Int, stepsPerEpoch: Int64, stepsPerSecond: Double, loss: Double)
    /// A checkpoint was stored under `digest`; `metrics` of all epochs that ended since the one that the round began
    /// with.
    case checkpoint(digest: String, step: Int64, metrics: [EpochMetrics])
    case finished(digest: String, step: Int64, test: PartMetrics, truncated: Int64)
    /// This member left the round; `fatal` where another round would end the same way; `input` the index of the data
    /// plan's input that cannot be read.
    case failed(reason: String, fatal: Bool, input: Int?)
}

/// The metrics at the end of one epoch, of the training and the validation part.
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

/// The metrics of one part of the split: its events, their mean loss, the area under the ROC curve, and the share that
/// is classified rightly.
package struct PartMetrics: Codable, Sendable, Equatable {
    package var events: Int64
    package var loss: Double
    package var auc: Double
    package var accuracy: Double

    package init(events: Int64, loss: Double, auc: Double, accuracy: Double) {
        self.events = events
        self.loss = loss
        self.auc = auc
        self.accuracy = accuracy
    }
}
