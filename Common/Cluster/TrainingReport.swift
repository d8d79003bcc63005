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

/// The metrics of one part of the split.
package struct PartMetrics: Codable, Sendable, Equatable {
    package var events: Int64
    /// The mean loss of the events; 0 where there is none.
    package var loss: Double
    /// The area under the ROC curve, of several classes the mean of each against the rest; nil where it was not
    /// computed, or where the events are of one class.
    package var auc: Double?
    /// The share of events that are classified rightly; nil where it was not computed, or there is no event.
    package var accuracy: Double?

    package init(events: Int64, loss: Double, auc: Double?, accuracy: Double?) {
        self.events = events
        self.loss = loss
        self.auc = auc
        self.accuracy = accuracy
    }
}
