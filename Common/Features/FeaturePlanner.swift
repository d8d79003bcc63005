package import Bytes
package import Cluster
package import Specs

/// Chooses a job's features and their normalisation from the statistics of the training part.
package enum FeaturePlanner {
    /// The largest number of features that a job may have without naming a padding.
    package static let maxUnnamedWidth = 4096
    /// The largest number of features of any job.
    private static let maxWidth = 1 << 20

    /// Makes the schema of a job's one flat input.
    ///
    /// - Parameters:
    ///   - branches: the resolved branches, the label's left out.
    ///   - specs: the merged specs of the training part, in the same order.
    /// - Throws: `InputError` where no feature is left, there are too many, two share a name, or a branch's values do
    ///   not fit Float32.
    package static func plan(
        _ settings: JobDescription.Features, branches: [SurveyedBranch], specs: [BranchStatistics]
    ) throws(InputError) -> DataSchema {
        var channels: [Channel] = []
        for (branch, statistics) in zip(branches, specs) {
            let named = settings.pad.first { NamePattern($0.pattern).matches(branch.name) }
            let (product, isLarge) = (named?.items ?? Int(statistics.multiplicity)).multipliedReportingOverflow(
                by: branch.itemValues)
            let items = branch.fixedValues ?? (isLarge ? .max : product)
            guard items > 0 else { continue }
            guard items <= maxWidth else {
                throw InputError(
                    .limit, "the branch \(branch.name) makes too many features", expected: "at most \(maxWidth)",
                    found: "\(items)", hint: "Name a padding for it, or leave it out.")
            }
            let low: Double
            let range: Double
            switch settings.normalise {
            case .minmax: (low, range) = (statistics.min, statistics.max - statistics.min)
            case .standard: (low, range) = (statistics.mean, statistics.deviation)
            }
            let offset = Float(low)
            // A range that vanishes, in double or in float, makes a constant.
            let scale = range > 0 && Float(1 / range).isFinite ? Float(1 / range) : 0
            let fill: Float =
                switch settings.padding {
                case .mean: (Float(statistics.mean) - offset) * scale
                case .value(let value): Float(value)
                }
            guard offset.isFinite, fill.isFinite else {
                throw InputError(
                    .input, "the values of \(branch.name) do not fit Float32",
                    found: "\(statistics.min) to \(statistics.max)",
                    hint: "Leave the branch out (branches: drop).")
            }
            channels.append(
                .init(
                    branch: branch.name, width: items, jagged: branch.fixedValues == nil, offset: offset, scale: scale,
                    fill: fill))
        }
        let schema = DataSchema(flat: channels)
        guard schema.flatWidth <= maxWidth else {
            throw InputError(
                .limit, "the branches make too many features", expected: "at most \(maxWidth)",
                found: "\(schema.flatWidth)", hint: "Name smaller paddings, or leave branches out.")
        }
        guard schema.flatWidth > 0 else {
            throw InputError(.input, "no feature is left: every kept branch is empty in the training part")
        }
        guard schema.flatWidth <= maxUnnamedWidth || !settings.pad.isEmpty else {
            let widest = channels.filter(\.jagged).max { $0.width < $1.width }
            let group = (widest?.branch.split(separator: "_").first.map(String.init) ?? "Jet") + "_*"
            throw InputError(
                .limit, "pad: max makes too many features", expected: "at most \(maxUnnamedWidth)",
                found: "\(schema.flatWidth)",
                hint: "Name a padding in the job file, for example features: {pad: {\"\(group)\": 8}}.")
        }
        if let name = schema.sharedName {
            throw InputError(
                .input, "two features share the name \(name)",
                found: channels.filter { $0.names.contains(name) }.map(\.branch).joined(separator: " and "),
                hint: "Leave one of the branches out (branches: drop).")
        }
        return schema
    }
}
