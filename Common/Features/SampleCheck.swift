package import Bytes
package import Cluster
package import Sampling
package import Specs

/// What a data plan's samples lack for a training: mistakes end it before it begins, and the rest are notes.
package struct SampleCheck: Sendable {
    private let job: JobDescription
    private let blocks: [TrainingBlock]
    private let labelStatistics: BranchStatistics?

    /// - Parameter labelStatistics: of the label branch in the training part; nil where the job has none.
    package init(_ job: JobDescription, _ blocks: [TrainingBlock], labelStatistics: BranchStatistics?) {
        self.job = job
        self.blocks = blocks
        self.labelStatistics = labelStatistics
    }

    /// - Parameters:
    ///   - lanes: the training's lanes.
    ///   - batch: the samples of a step.
    /// - Returns: notes for the user.
    /// - Throws: `InputError` where lanes stay empty or a class has no sample to learn from.
    package func notes(lanes: Int, batch: Int) throws(InputError) -> [String] {
        let training = blocks.reduce(0) { $0 + $1.rows.train }
        guard training >= lanes else {
            throw InputError(
                .input, "the training part has fewer samples than the training has lanes",
                expected: "at least \(lanes) samples", found: "\(training)",
                hint: "Set train: lanes to \(max(1, training)) or fewer, or train on more events.")
        }
        var notes = emptyDatasets()
        if batch > training {
            notes.append(
                "the batch of \(batch) is larger than the training part of \(training) samples: an epoch is one step")
        }
        if let name = job.labelBranch { try checkLabelBranch(name) }
        return notes + (job.labelBranch == nil && job.target == nil ? try classes() : [])
    }

    /// A branch that gives the classes gives at least two.
    private func checkLabelBranch(_ name: String) throws(InputError) {
        guard let found = labelStatistics, found.values > 0, found.min == found.max else { return }
        throw InputError(
            .input, "all events of the training part are of one class", object: name, expected: "at least two labels",
            found: "\(found.min)", hint: "Is it the right branch? beamline specs shows its values.")
    }

    private func emptyDatasets() -> [String] {
        job.datasets.enumerated().compactMap { index, dataset in
            blocks.contains { $0.dataset == index && $0.end > $0.first }
                ? nil : "the dataset \(dataset.name) has no events"
        }
    }

    /// The classes that the datasets give: each needs samples to learn from, and a part without one has no AUC for it.
    private func classes() throws(InputError) -> [String] {
        var notes: [String] = []
        var all = PartTable(train: 0, validation: 0, test: 0)
        var own: [Int: PartTable<Int>] = [:]
        for block in blocks {
            for part in SplitPart.allCases {
                all[part] += block.rows[part]
                own[block.label, default: PartTable(train: 0, validation: 0, test: 0)][part] += block.rows[part]
            }
        }
        for label in Set(job.datasets.compactMap(\.label)).sorted() {
            let names = job.datasets.filter { $0.label == label }.map(\.name).joined(separator: ", ")
            // A part that is empty as a whole was asked for.
            for part in SplitPart.allCases where all[part] > 0 && (own[label]?[part] ?? 0) == 0 {
                guard part != .train else {
                    throw InputError(
                        .input, "a class has no event in the training part", object: "class \(label) (\(names))",
                        expected: "at least one event", found: "none",
                        hint: "Look at beamline specs: are the files empty, or too few for the split?")
                }
                notes.append(
                    "class \(label) (\(names)) has no event in the \(part) part: its AUC there is undefined")
            }
        }
        return notes
    }
}
