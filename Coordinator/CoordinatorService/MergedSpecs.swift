import Bytes
import Cluster
import Features
import Foundation
import Ledger
import RestInterface
import Sampling
import Specs

/// The specs of a whole job, merged in the canonical order.
struct MergedSpecs: Sendable {
    var branches: [String] = []
    var parts = PartTable(repeating: PartialSpecs(branches: []))
    /// All parts together, merged block by block.
    var whole = PartialSpecs(branches: [])
    /// For each dataset, the samples of each part.
    var datasetRows: [PartTable<Int64>] = []
    var fileEntries: [(file: FileID, url: String, logical: String, entries: Int64)] = []
    /// For training: every file's tree, and every block with its rows.
    var inputs: [InputTree] = []
    var blocks: [TrainingBlock] = []

    init(_ ledger: Ledger, job: Ledger.JobRecord) throws {
        branches = job.branches ?? []
        let empty = PartialSpecs(branches: .init(repeating: BranchStatistics(), count: branches.count))
        parts = PartTable(repeating: empty)
        whole = empty
        datasetRows = .init(repeating: PartTable(repeating: 0), count: job.description.datasets.count)
        var merged = self
        try ledger.forEachFolded(job.id) { file, folded in
            guard let survey = file.survey, folded.blockRows.count == survey.boundaries.count - 1,
                folded.whole.branches.count == merged.branches.count
            else {
                throw InputError(.corrupt, "the ledger's specs are not of their file", file: file.url)
            }
            let dataset = job.description.datasets[file.dataset]
            merged.inputs.append(
                InputTree(
                    file.surveyed, tree: dataset.tree, identity: survey.identity, verify: job.description.verify != nil)
            )
            if let parts = folded.parts {
                for part in SplitPart.allCases {
                    merged.parts[part].merge(parts[part])
                    merged.datasetRows[file.dataset][part] += parts[part].rows
                }
            }
            merged.whole.merge(folded.whole)
            for (index, rows) in folded.blockRows.enumerated() {
                merged.blocks.append(
                    TrainingBlock(
                        dataset: file.dataset, label: dataset.label ?? 0, input: merged.inputs.count - 1,
                        first: survey.boundaries[index],
                        end: survey.boundaries[index + 1], rows: rows.map { Int($0) }))
            }
            merged.fileEntries.append((file.id, file.url, file.logical, survey.entries))
        }
        self = merged
    }

    /// The merged specs as bytes: what must not depend on order, chunking or workers.
    var bytes: [UInt8] { SpecsCoding.content([parts]) }

    func document(_ job: Ledger.JobRecord, kinds: [String: SurveyedBranch]) -> SpecsDocument {
        func rows(_ table: PartTable<Int64>) -> [String: Int64] {
            Dictionary(uniqueKeysWithValues: SplitPart.allCases.map { ("\($0)", table[$0]) })
        }
        return SpecsDocument(
            job: job.id, events: whole.rows, parts: rows(parts.map(\.rows)),
            datasets: Dictionary(
                uniqueKeysWithValues: zip(job.description.datasets.map(\.name), datasetRows.map(rows))),
            branches: zip(branches, whole.branches).map { name, statistics in
                let kind = kinds[name]
                return .init(
                    name: name,
                    kind: kind.map {
                        $0.fixedValues == nil ? "jagged" : $0.fixedValues == 1 ? "flat" : "fixed[\($0.fixedValues!)]"
                    } ?? "",
                    values: statistics.values, nonfinite: statistics.nonfinite, min: statistics.min,
                    max: statistics.max,
                    mean: statistics.mean, deviation: statistics.deviation, multiplicity: statistics.multiplicity)
            },
            files: fileEntries.map { .init(url: $0.url, logicalName: $0.logical, entries: $0.entries) },
            sha256: Digest.sha256(bytes))
    }

    /// MLaaS4HEP's layout of the same.
    func mlaas4hep(kinds: [String: SurveyedBranch]) -> MLaaS4HEPSpecs {
        let pairs = Array(zip(branches, whole.branches))
        let jagged = pairs.filter { kinds[$0.0]?.fixedValues == nil }
        func table<T>(_ value: (BranchStatistics) -> T) -> [String: T] {
            Dictionary(uniqueKeysWithValues: pairs.map { ($0.0, value($0.1)) })
        }
        return MLaaS4HEPSpecs(
            events: whole.rows, fkeys: pairs.filter { kinds[$0.0]?.fixedValues != nil }.map(\.0),
            jkeys: jagged.map(\.0),
            jdim: Dictionary(uniqueKeysWithValues: jagged.map { ($0.0, $0.1.multiplicity) }), minv: table(\.min),
            maxv: table(\.max),
            nans: table(\.nonfinite))
    }
}
