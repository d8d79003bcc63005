import Bytes

/// The branch that a model learns to predict, with its normalisation `(y - offset) * scale` and what the training part
/// shows of it. A score of the model is a normalised value; what is served is in the target's units.
package struct TargetSchema: Codable, Sendable, Equatable {
    /// The branch's name in the tree.
    package var branch: String
    /// What is subtracted from each value, in Float32.
    package var offset: Float
    /// What each difference is multiplied by, in Float32; above 0.
    package var scale: Float
    /// The moments and extremes of the training part, in the target's units: metrics are counted about this mean and in
    /// bins of this deviation, whatever the normalisation.
    package var mean: Double
    package var deviation: Double
    package var min: Double
    package var max: Double

    /// - Parameters:
    ///   - offset: what is subtracted from each value.
    ///   - scale: what each difference is multiplied by; above 0.
    package init(
        branch: String, offset: Float, scale: Float, mean: Double, deviation: Double, min: Double, max: Double
    ) {
        self.branch = branch
        self.offset = offset
        self.scale = scale
        self.mean = mean
        self.deviation = deviation
        self.min = min
        self.max = max
    }

    /// The normalised value of a target.
    @inline(__always)
    package func normalised(_ value: Float) -> Float { (value - offset) * scale }

    /// What a score stands for, in the target's units.
    @inline(__always)
    package func prediction(_ score: Float) -> Double { Double(score) / Double(scale) + Double(offset) }

    /// Checks what a decoded schema may not be relied on for.
    ///
    /// - Throws: `InputError` where the normalisation or the moments are not those of values that vary.
    func validate() throws(InputError) {
        // Squares of the deviation, and their inverses, are numbers too.
        guard offset.isFinite, scale > 0, scale.isFinite, mean.isFinite, (1e-140...1e140).contains(deviation),
            min.isFinite, max.isFinite, (max - min).isFinite, min < max
        else {
            throw InputError(
                .corrupt, "the normalisation of the target is invalid", object: branch,
                expected: "finite numbers, a scale and a deviation above 0, a minimum below the maximum",
                found: "offset \(offset), scale \(scale), mean \(mean), deviation \(deviation), \(min) to \(max)")
        }
    }
}
