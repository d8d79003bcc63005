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
