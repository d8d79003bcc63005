import Bytes
import Cluster
import Foundation
import Ledger
import Specs

/// The specs of a whole job, merged in the canonical order.
struct MergedSpecs: Sendable {
    var branches: [String] = []
    /// Train, validation, test.
    var parts: [PartialSpecs] = []
    /// All parts together, merged block by block.
    var whole = PartialSpecs(branches: [])
    /// For each dataset, its rows of train, validation and test.
    var datasetRows: [[Int64]] = []
    var fileEntries: [(file: Int64, url: String, logical: String, entries: Int64)] = []
    /// For training: every file's tree, and every block with its rows.
    var inputs: [InputTree] = []
    var blocks: [TrainingBlock] = []

    init(_ ledger: Ledger, job: Ledger.JobRecord) throws {
        branches = job.branches ?? []
        let empty = PartialSpecs(branches: .init(repeating: BranchStatistics(), count: branches.count))
        parts = [empty, empty, empty]
        whole = empty
        datasetRows = .init(repeating: [0, 0, 0], count: job.description.datasets.count)
        var merged = self
        try ledger.forEachSpecs(job.id) { file, task, bytes in
            let label = job.description.datasets[file.dataset].label ?? 0
            if merged.inputs.last != task.input { merged.inputs.append(task.input) }
            for (index, parts) in try SpecsCoding.decode(bytes).enumerated() {
                for (part, specs) in parts.enumerated() {
                    merged.parts[part].merge(specs)
                    merged.whole.merge(specs)
                    merged.datasetRows[file.dataset][part] += specs.rows
                }
                merged.blocks.append(TrainingBlock(
                    dataset: file.dataset, label: label, input: merged.inputs.count - 1,
                    first: task.boundaries[index], end: task.boundaries[index + 1], rows: parts.map { Int($0.rows) }))
            }
            let entries = task.boundaries.last! - task.boundaries.first!
            if merged.fileEntries.last?.file == file.id { merged.fileEntries[merged.fileEntries.count - 1].entries += entries } else {
                merged.fileEntries.append((file.id, file.url, file.logical, entries))
            }
        }
        self = merged
    }

    /// The merged specs as bytes: what must not depend on order, chunking or workers.
    var bytes: [UInt8] { SpecsCoding.encode([parts]) }

    struct Document: Encodable {
        struct Branch: Encodable {
            var name: String
            var kind: String
            var values: Int64
            var nonfinite: Int64
            var min: Double
            var max: Double
            var mean: Double
            var deviation: Double
            var multiplicity: Int64
        }
        struct File: Encodable { var url: String; var logicalName: String; var entries: Int64 }
        /// Absent in a bundle, which knows no job numbers.
        var job: Int64?
        var events: Int64
        var parts: [String: Int64]
        var datasets: [String: [String: Int64]]
        var branches: [Branch]
        var files: [File]
        var sha256: String

        /// Leaves out what depends on the run: the job's number and the files' URLs.
        mutating func forget() {
            job = nil
            for index in files.indices { files[index].url = files[index].logicalName }
        }
    }

    func document(_ job: Ledger.JobRecord, kinds: [String: SurveyedBranch]) -> Document {
        let names = ["train", "validation", "test"]
        func rows(_ values: [Int64]) -> [String: Int64] { Dictionary(uniqueKeysWithValues: zip(names, values)) }
        return Document(
            job: job.id, events: whole.rows, parts: rows(parts.map(\.rows)),
            datasets: Dictionary(uniqueKeysWithValues: zip(job.description.datasets.map(\.name), datasetRows.map(rows))),
            branches: zip(branches, whole.branches).map { name, statistics in
                let kind = kinds[name]
                return .init(
                    name: name, kind: kind.map { $0.fixedValues == nil ? "jagged" : $0.fixedValues == 1 ? "flat" : "fixed[\($0.fixedValues!)]" } ?? "",
                    values: statistics.values, nonfinite: statistics.nonfinite, min: statistics.min, max: statistics.max,
                    mean: statistics.mean, deviation: statistics.deviation, multiplicity: statistics.multiplicity)
            },
            files: fileEntries.map { .init(url: $0.url, logicalName: $0.logical, entries: $0.entries) }, sha256: BlobStore.digest(bytes))
    }

    /// MLaaS4HEP's layout of the same.
    struct MLaaS4HEP: Encodable {
        var events: Int64
        var fkeys: [String]
        var jkeys: [String]
        var jdim: [String: Int64]
        var minv: [String: Double]
        var maxv: [String: Double]
        var nans: [String: Int64]
    }

    func mlaas4hep(kinds: [String: SurveyedBranch]) -> MLaaS4HEP {
        let pairs = Array(zip(branches, whole.branches))
        let jagged = pairs.filter { kinds[$0.0]?.fixedValues == nil }
        func table<T>(_ value: (BranchStatistics) -> T) -> [String: T] { Dictionary(uniqueKeysWithValues: pairs.map { ($0.0, value($0.1)) }) }
        return MLaaS4HEP(
            events: whole.rows, fkeys: pairs.filter { kinds[$0.0]?.fixedValues != nil }.map(\.0), jkeys: jagged.map(\.0),
            jdim: Dictionary(uniqueKeysWithValues: jagged.map { ($0.0, $0.1.multiplicity) }), minv: table(\.min), maxv: table(\.max),
            nans: table(\.nonfinite))
    }
}

extension Coordinator {
    /// - Returns: JSON; nil where there is no such job.
    package func specs(_ id: Int64, format: String?) throws -> Data? {
        guard let job = try ledger.job(id) else { return nil }
        let merged = try MergedSpecs(ledger, job: job)
        guard !merged.fileEntries.isEmpty else {
            throw FormatError(.input, "job \(id) has no specs yet", found: "stage \(job.stage.rawValue)")
        }
        let kinds = try surveyed(job)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        if format == "mlaas4hep" { return try encoder.encode(merged.mlaas4hep(kinds: kinds)) }
        return try encoder.encode(merged.document(job, kinds: kinds))
    }

    func surveyed(_ job: Ledger.JobRecord) throws -> [String: SurveyedBranch] {
        let survey = try ledger.files(job.id).first { $0.skipped == nil && $0.survey != nil }?.survey
        return Dictionary((survey?.branches ?? []).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }
}
