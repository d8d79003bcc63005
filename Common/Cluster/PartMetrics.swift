/// The metrics of one part of the split.
package struct PartMetrics: Codable, Sendable, Equatable {
    package var events: Int64
    /// The mean loss of the events; 0 where there is none. Of a target it is in the target's units, squared.
    package var loss: Double
    /// The area under the ROC curve, of several classes the mean of each against the rest; nil where it was not
    /// computed, or where the events are of one class.
    package var auc: Double?
    /// Of a model with a score for each class: the area under the ROC curve of each class against the rest, nil for a
    /// class that no event or every event has. Nil as a whole for a model with one score, or where it was not computed.
    package var classAUC: [Double?]?
    /// The share of events that are classified rightly; nil where it was not computed, or there is no event.
    package var accuracy: Double?
    /// Of a model that learns a target; nil for one with classes, or where it was not computed.
    package var regression: RegressionMetrics?

    package init(
        events: Int64, loss: Double, auc: Double?, classAUC: [Double?]? = nil, accuracy: Double?,
        regression: RegressionMetrics? = nil
    ) {
        self.events = events
        self.loss = loss
        self.auc = auc
        self.classAUC = classAUC
        self.accuracy = accuracy
        self.regression = regression
    }
}

// MARK: Encoding: an undefined metric is null, so that whoever reads the JSON sees that it is meant to be there

extension PartMetrics {
    package func encode(to encoder: any Encoder) throws {
        var keys = encoder.container(keyedBy: CodingKeys.self)
        try keys.encode(events, forKey: .events)
        try keys.encode(loss, forKey: .loss)
        try keys.encode(auc, forKey: .auc)
        try keys.encodeIfPresent(classAUC, forKey: .classAUC)
        try keys.encode(accuracy, forKey: .accuracy)
        try keys.encodeIfPresent(regression, forKey: .regression)
    }
}
