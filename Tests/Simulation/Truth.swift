import Cluster
import Sampling
import Specs

/// One sequential pass over what a job reads, without the machines of coordinator, worker and ledger.
struct Truth {
    let files: [(file: SimFile, dataset: Int)]
    let specs: [UInt8]
    let schedule: LaneSchedule?
    /// The weights after each step, from step 0.
    let digests: [UInt64]
    /// Rows of the training part, and how often an epoch's steps saw each.
    let rowsSeenOnce: Bool

    /// - Parameter skipped: URLs that were left out.
    init(_ job: SimJob, skipped: [String], plan: ([TrainingBlock]) -> [[LanePiece]]) {
        var listed: [(file: SimFile, dataset: Int)] = []
        for (pattern, files) in zip(job.description.patterns, job.files) {
            for file in files { listed.append((file, pattern.dataset)) }
        }
        files = listed.filter { !skipped.contains($0.file.url) }.sorted {
            ($0.dataset, $0.file.url) < ($1.dataset, $1.file.url)
        }
        var bytes: [UInt8] = []
        var blocks: [TrainingBlock] = []
        for (index, entry) in files.enumerated() {
            var parts: PartTable<PartialSpecs>?
            for block in 0..<entry.file.boundaries.count - 1 {
                let specs = entry.file.specs(block: block, split: job.description.split)
                if var merged = parts {
                    for part in SplitPart.allCases { merged[part].merge(specs[part]) }
                    parts = merged
                } else {
                    parts = specs
                }
                blocks.append(
                    TrainingBlock(
                        dataset: entry.dataset, label: entry.dataset, input: index, first: entry.file.boundaries[block],
                        end: entry.file.boundaries[block + 1],
                        rows: specs.map { Int($0.rows) }))
            }
            bytes += parts.map { SpecsCoding.encode([$0]) } ?? []
        }
        specs = bytes
        guard let training = job.description.train else {
            (schedule, digests, rowsSeenOnce) = (nil, [], true)
            return
        }
        let schedule = LaneSchedule(
            blocks: blocks, lanes: plan(blocks), batch: training.batch, epochs: training.epochs,
            seed: job.description.split.seed, shuffle: 40)
        self.schedule = schedule
        let model = SimModel(schedule)
        digests = model.history()
        rowsSeenOnce = model.seesEachRowOnce()
    }
}
