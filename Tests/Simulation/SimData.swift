import Cluster
import Sampling
import Specs

/// A file as it is: made from its seed.
struct SimFile: Sendable {
    let url: String
    let site: Int
    let seed: UInt64
    let boundaries: [Int64]
    /// Every reading of it fails, whoever reads.
    var isBroken = false
    /// Whoever reads it dies.
    var isDeadly = false

    var identity: String { String(seed, radix: 16) }
    var survey: Survey {
        Survey(
            bytes: 1000, identity: identity, entries: boundaries.last!, boundaries: boundaries, clusters: boundaries,
            branches: ["x", "y"].map {
                SurveyedBranch(name: $0, type: "double", fixedValues: 1, itemValues: 1, unsupported: nil)
            })
    }

    /// The partial specs of one block, value by value.
    func specs(block: Int, split: JobDescription.Split) -> PartTable<PartialSpecs> {
        let splitter = Splitter(split, identity: identity)
        var parts = PartTable(repeating: PartialSpecs(branches: [BranchStatistics(), BranchStatistics()]))
        for entry in boundaries[block]..<boundaries[block + 1] {
            let part = splitter.part(entry)
            parts[part].rows += 1
            for branch in 0..<2 {
                var one = BranchStatistics()
                let value = Double(mix(seed, UInt64(entry), UInt64(branch)) >> 40) / 1e5
                (one.values, one.min, one.max, one.mean, one.multiplicity) = (1, value, value, value, 1)
                parts[part].branches[branch].merge(one)
            }
        }
        return parts
    }
}

/// A job with the truth about its files.
struct SimJob: Sendable {
    var description: JobDescription
    /// For each pattern its files.
    var files: [[SimFile]]

    var all: [SimFile] { files.flatMap { $0 } }
}

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
            seed: job.description.split.seed)
        self.schedule = schedule
        let model = SimModel(schedule)
        digests = model.history()
        rowsSeenOnce = model.seesEachRowOnce()
    }
}
