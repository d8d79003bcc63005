/// How far a model's predictions are from their targets, in the target's units.
package struct RegressionMetrics: Codable, Sendable, Equatable {
    /// The mean absolute error; nil where there is no event.
    package var mae: Double?
    /// The root of the mean squared error; nil where there is no event.
    package var rmse: Double?
    /// R squared: 1 less the mean squared error over the targets' variance; nil where the targets do not vary.
    package var r2: Double?

    package init(mae: Double? = nil, rmse: Double? = nil, r2: Double? = nil) {
        self.mae = mae
        self.rmse = rmse
        self.r2 = r2
    }
}

// MARK: Encoding: an undefined metric is null

extension RegressionMetrics {
    package func encode(to encoder: any Encoder) throws {
        var keys = encoder.container(keyedBy: CodingKeys.self)
        try keys.encode(mae, forKey: .mae)
        try keys.encode(rmse, forKey: .rmse)
        try keys.encode(r2, forKey: .r2)
    }
}
