import Bytes
import Cluster
import Features
import Foundation
import Ledger
import Models
import RestInterface
import Wire

/// Makes the bundle of a finished training: the model with all that the job and its data determine, and no times, hosts
/// or URLs.
struct Bundler: Sendable {
    let ledger: Ledger
    let blobs: BlobStore
    /// The program's version.
    let version: String

    /// The bundle's `metrics.json`.
    private struct Metrics: Encodable {
        var format = 3
        var epochs: [EpochMetrics]
        var test: PartMetrics?
        var evaluation: EvaluationReport?
    }

    /// The bundle's `lineage.json`.
    private struct Lineage: Encodable {
        struct Input: Encodable {
            var dataset: String
            var label: Int?
            var logicalName: String
            var tree: String
            var identity: String
            var entries: Int64
        }

        var format = 2
        // UNUSED: in the code; readers of the document see it.
        var producer = "beamline"
        var version: String
        var job: String
        var inputs: [Input]
        var branches: [String]
        var split: JobDescription.Split
        var target: JobDescription.Target?
        var features: JobDescription.Features
        var training: JobDescription.Training
        var exactness: Exactness
        var specsSHA256: String
    }

    /// Makes and stores the bundle of a job whose training is done.
    ///
    /// - Returns: the digest of the blob.
    /// - Throws: `InputError` where the ledger or the blobs lack a part, or the checkpoint does not fit the model.
    func bundle(_ job: Ledger.JobRecord) throws -> String {
        guard let plans = try StoredPlans(of: job, in: blobs), let training = job.description.train,
            let checkpoint = try ledger.checkpoint(job.id), let state = try blobs.get(checkpoint.digest)
        else { throw InputError(.missing, "the job's checkpoint is lost", object: "job \(job.id)") }
        let merged = try MergedSpecs(ledger, job: job)
        let documents: [ModelBundle.Document] = [
            .init(.model, try model(plans, state)),
            .init(.schema, [UInt8](try WireCoding.body(plans.data.schema))),
            .init(.specs, [UInt8](try WireCoding.body(specs(job, merged)))),
            .init(.metrics, [UInt8](try WireCoding.body(metrics(job)))),
            .init(.lineage, [UInt8](try WireCoding.body(lineage(job, plans, training, merged)))),
        ]
        return try blobs.put(ModelBundle(documents).encode())
    }

    private func metrics(_ job: Ledger.JobRecord) throws -> Metrics {
        Metrics(epochs: try ledger.epochs(job.id), test: job.test, evaluation: try ledger.evaluation(job.id))
    }

    private func model(_ plans: StoredPlans, _ state: [UInt8]) throws -> [UInt8] {
        let model = try plans.training.model(plans.data.schema)
        let trained = try Checkpoint.decode(
            state, tensors: model.tensors, plans.training.optimizer.implementation,
            keepsBest: plans.training.course.restoresBest)
        return try model.export(trained.finalParameters, schema: plans.data.schema, version: version)
    }

    private func specs(_ job: Ledger.JobRecord, _ merged: MergedSpecs) throws -> SpecsDocument {
        var document = merged.document(job, kinds: try ledger.surveyedBranches(job.id))
        document.removeRunDetails()
        return document
    }

    private func lineage(
        _ job: Ledger.JobRecord, _ plans: StoredPlans, _ training: JobDescription.Training, _ merged: MergedSpecs
    ) throws -> Lineage {
        let inputs = try ledger.files(job.id).filter { $0.skipped == nil }.map { file in
            let dataset = job.description.datasets[file.dataset]
            return Lineage.Input(
                dataset: dataset.name, label: dataset.label, logicalName: file.logical, tree: dataset.tree,
                identity: file.survey?.identity ?? "", entries: file.survey?.entries ?? 0)
        }
        return Lineage(
            version: version, job: job.description.name, inputs: inputs, branches: merged.branches,
            split: job.description.split, target: job.description.target, features: job.description.features,
            training: training,
            exactness: plans.training.exactness, specsSHA256: Digest.sha256(merged.bytes))
    }
}
