import Bytes
import Cluster
import Features
import Foundation
import Ledger
import Models
import Scheduling
import Wire

extension Coordinator {
    /// The finished model with all that the job and its data determine; no times, hosts or URLs.
    func makeBundle(_ job: Ledger.JobRecord) throws -> String {
        guard let plans = try StoredPlans(of: job, in: blobs), let train = job.description.train,
            let checkpoint = try ledger.checkpoint(job.id), let state = try blobs.get(checkpoint.digest)
        else { throw InputError(.missing, "the job's checkpoint is lost", object: "job \(job.id)") }
        let network = Network(inputs: plans.data.schema.flatWidth, layers: plans.training.layers)
        let trained = TrainedModel(network, try Checkpoint.decode(state, for: network).parameters, plans.data.schema)
        let merged = try MergedSpecs(ledger, job: job)
        struct Metrics: Encodable {
            var epochs: [EpochMetrics]
            var test: PartMetrics?
        }
        struct Lineage: Encodable {
            struct Input: Encodable {
                var dataset: String
                var label: Int?
                var logicalName: String
                var tree: String
                var identity: String
                var entries: Int64
            }
            var producer = "beamline"
            var version: String
            var job: String
            var inputs: [Input]
            var branches: [String]
            var split: JobDescription.Split
            var features: JobDescription.Features
            var training: JobDescription.Training
            var specsSHA256: String
        }
        let inputs = try ledger.files(job.id).filter { $0.skipped == nil }.map { file in
            Lineage.Input(
                dataset: job.description.datasets[file.dataset].name,
                label: job.description.datasets[file.dataset].label,
                logicalName: file.logical, tree: job.description.datasets[file.dataset].tree,
                identity: file.survey?.identity ?? "",
                entries: file.survey?.entries ?? 0)
        }
        let lineage = Lineage(
            version: settings.version, job: job.description.name, inputs: inputs, branches: merged.branches,
            split: job.description.split,
            features: job.description.features, training: train, specsSHA256: Digest.sha256(merged.bytes)
        )
        var document = merged.document(job, kinds: try ledger.surveyedBranches(job.id))
        document.removeRunDetails()
        let bundle = Bundle.encode([
            (Bundle.model, try ONNXModel.export(trained, version: settings.version)),
            (Bundle.schema, [UInt8](try WireCoding.body(plans.data.schema))),
            (Bundle.specs, [UInt8](try WireCoding.body(document))),
            (Bundle.metrics, [UInt8](try WireCoding.body(Metrics(epochs: try ledger.epochs(job.id), test: job.test)))),
            (Bundle.lineage, [UInt8](try WireCoding.body(lineage))),
        ])
        let digest = try blobs.put(bundle)
        return digest
    }

    /// What is left to push of a job's model.
    func publication(of id: JobID) throws -> Publisher.Work {
        guard let live = core.scheduler.jobs[id], live.stage == .publish else { return .over }
        if live.paused { return .later }
        guard let record = try ledger.job(id), let publish = record.description.publish, let digest = record.bundle
        else { return .over }
        let acknowledged = Set(
            try ledger.publications(id).filter { $0.acknowledged && $0.digest == digest }.map(\.node))
        return .push(digest: digest, model: publish.model, nodes: publish.nodes.filter { !acknowledged.contains($0) })
    }

    /// A node has acknowledged a job's model.
    func acknowledged(_ id: JobID, node: String, digest: String) {
        process([.published(job: id, node: node, digest: digest)])
    }
}
