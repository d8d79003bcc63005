package import Bytes
package import Cluster
package import Sampling
import Specs

/// What a data plan's samples lack for a training: mistakes end it before it begins, and the rest are notes.
package struct SampleCheck: Sendable {
    private let job: JobDescription
    private let blocks: [TrainingBlock]

    package init(_ job: JobDescription, _ blocks: [TrainingBlock]) {
        self.job = job
        self.blocks = blocks
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
        return notes + (job.labelBranch == nil && job.target == nil ? try classes() : [])
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
        for label in Set(job.datasets.compactMap(\.label)).sorted() {
            let own = blocks.filter { $0.label == label }
            let names = job.datasets.filter { $0.label == label }.map(\.name).joined(separator: ", ")
            for part in SplitPart.allCases where own.allSatisfy({ $0.rows[part] == 0 }) {
                // A part that is empty as a whole was asked for.
                guard blocks.contains(where: { $0.rows[part] > 0 }) else { continue }
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
