package import Bytes
package import Cluster
package import Sampling
package import Specs

/// Makes a job's data plan from what its surveys and specs found: the schema with its normalisations, and the lanes.
package struct DataPlanner: Sendable {
    package var job: JobDescription
    /// The branches that were read, and their statistics in the training part, in the same order.
    package var branches: [String]
    package var trainingSpecs: PartialSpecs
    /// What the survey found of each branch, by name.
    package var surveyed: [String: SurveyedBranch]
    package var inputs: [InputTree]
    /// All blocks in the canonical order.
    package var blocks: [TrainingBlock]

    package init(
        job: JobDescription, branches: [String], trainingSpecs: PartialSpecs, surveyed: [String: SurveyedBranch],
        inputs: [InputTree], blocks: [TrainingBlock]
    ) {
        self.job = job
        self.branches = branches
        self.trainingSpecs = trainingSpecs
        self.surveyed = surveyed
        self.inputs = inputs
        self.blocks = blocks
    }

    /// - Parameter training: how a model is to be trained on it; its classes must cover the labels.
    /// - Returns: the plan, and notes for the user.
    /// - Throws: `InputError` where there is nothing to train on, or the features or labels do not fit.
    package func plan(
        for training: TrainingPlan, lanes: Int
    ) throws(InputError) -> (plan: DataPlan, notes: [String]) {
        guard trainingSpecs.rows > 0 else { throw InputError(.input, "no event is in the training part") }
        var features: [(branch: SurveyedBranch, statistics: BranchStatistics)] = []
        for (name, statistics) in zip(branches, trainingSpecs.branches) where name != job.truthBranch {
            if let branch = surveyed[name] { features.append((branch, statistics)) }
        }
        var schema = try FeaturePlanner.plan(
            job.features, branches: features.map(\.branch), specs: features.map(\.statistics))
        var notes: [String] = []
        if let target = job.target {
            let statistics = zip(branches, trainingSpecs.branches).first { $0.0 == target.branch }?.1
            schema.target = try TargetPlanner.plan(target, branch: surveyed[target.branch], statistics: statistics)
            if job.branches.isKept(target.branch) { notes.append("\(target.branch) is the target, and so no feature") }
        }
        if let units = training.outputUnits, let label = blocks.map(\.label).max(), label >= units {
            throw InputError(
                .input, "a label has no unit in the last layer", expected: "labels below \(units)", found: "\(label)")
        }
        let labels = job.labelBranch.flatMap { name in zip(branches, trainingSpecs.branches).first { $0.0 == name }?.1 }
        notes += try SampleCheck(job, blocks, labelStatistics: labels).notes(lanes: lanes, batch: training.batch)
        let constants = schema.constants.map { "constant feature, scale 0: \($0)" }
        let lost = features.filter { $0.statistics.nonfinite > 0 }.map {
            "\($0.statistics.nonfinite) values of \($0.branch.name) in the training part are not finite; "
                + "they are treated as missing"
        }
        let plan = DataPlan(
            split: job.split, labelBranch: job.labelBranch, schema: schema, inputs: inputs, blocks: blocks,
            lanes: LaneDealer.deal(blocks, lanes: lanes, seed: job.split.seed))
        return (plan, notes + constants + lost)
    }
}
