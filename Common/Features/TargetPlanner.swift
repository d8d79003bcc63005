package import Bytes
package import Cluster
package import Specs

/// Makes the schema of a job's target from the statistics of the training part.
package enum TargetPlanner {
    /// - Parameters:
    ///   - branch: what the survey found of the target's branch; nil where it found none.
    ///   - statistics: of the training part; nil where the branch was not read.
    /// - Throws: `InputError` where the branch has no single number an entry, or its values do not vary.
    package static func plan(
        _ target: JobDescription.Target, branch: SurveyedBranch?, statistics: BranchStatistics?
    ) throws(InputError) -> TargetSchema {
        guard let branch, let statistics, branch.fixedValues == 1 else {
            throw InputError(
                .input, "the target has more than one value an entry, or is not read", object: target.branch,
                expected: "a branch of single numbers",
                found: branch.map { $0.fixedValues.map { "\($0) values" } ?? "any number of values" } ?? "no branch")
        }
        guard statistics.values > 0 else {
            throw InputError(.input, "the target has no finite value in the training part", object: target.branch)
        }
        let deviation = statistics.deviation
        guard statistics.min < statistics.max, deviation >= 1e-140 else {
            throw InputError(
                .input, "the target is constant in the training part: there is nothing to learn",
                object: target.branch, expected: "values that vary", found: "\(statistics.min)")
        }
        let fits = Swift.max(abs(statistics.min), abs(statistics.max)) <= Double(Float.greatestFiniteMagnitude)
        guard fits else {
            // The worker that reads such a value names its file and its entry.
            return TargetSchema(branch: target.branch, offset: 0, scale: 1, mean: 0, deviation: 1, min: 0, max: 1)
        }
        let unit = Double(Float(Swift.max(abs(statistics.min), abs(statistics.max))).ulp)
        guard unit <= deviation / 64 else {
            throw InputError(
                .input, "the target's values lie too close together for Float32", object: target.branch,
                expected: "a deviation of \(64 * unit) or more", found: "\(deviation)",
                hint: "Subtract a constant from it.")
        }
        var schema = TargetSchema(
            branch: target.branch, offset: 0, scale: 1, mean: statistics.mean, deviation: deviation,
            min: statistics.min, max: statistics.max)
        switch target.normalise {
        case .none:
            guard deviation >= 1e-6 else {
                throw InputError(
                    .input, "the target's values are too small to be learnt as they are", object: target.branch,
                    expected: "a deviation of 1e-6 or more", found: "\(deviation)",
                    hint: "Use normalise: standard, or another unit.")
            }
        case .standard: (schema.offset, schema.scale) = (Float(statistics.mean), Float(1 / deviation))
        }
        guard schema.scale > 0, schema.scale.isFinite else {
            throw InputError(
                .input, "the target's deviation does not fit Float32", object: target.branch,
                found: "\(deviation)", hint: "Use another unit for it.")
        }
        return schema
    }
}
