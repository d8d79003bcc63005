import AsyncHTTPClient
import Bytes
import Cluster
import Foundation
import Ledger
import Models
import NIOCore
import Scheduling
import Wire

extension Coordinator {
    /// The finished model with all that the job and its data determine; no times, hosts or URLs.
    func makeBundle(_ job: Ledger.JobRecord) throws -> String {
        guard let manifestDigest = job.manifest, let manifestBytes = try blobs.get(manifestDigest),
            let checkpoint = try ledger.checkpoint(job.id), let state = try blobs.get(checkpoint.digest)
        else { throw FormatError(.missing, "the job's checkpoint is lost", object: "job \(job.id)") }
        let manifest = try WireCoding.value(TrainingManifest.self, Data(manifestBytes))
        let network = Network(inputs: manifest.schema.width, layers: manifest.training.layers)
        let trained = TrainedModel(network, try Checkpoint.decode(state, for: network).parameters, manifest.schema)
        let merged = try MergedSpecs(ledger, job: job)
        struct Metrics: Encodable { var epochs: [EpochMetrics]; var test: PartMetrics? }
        struct Lineage: Encodable {
            struct Input: Encodable { var dataset: String; var label: Int?; var logicalName: String; var tree: String; var identity: String; var entries: Int64 }
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
                dataset: job.description.datasets[file.dataset].name, label: job.description.datasets[file.dataset].label,
                logicalName: file.logical, tree: job.description.datasets[file.dataset].tree, identity: file.survey?.identity ?? "",
                entries: file.survey?.entries ?? 0)
        }
        let lineage = Lineage(
            version: version, job: job.description.name, inputs: inputs, branches: merged.branches, split: job.description.split,
            features: job.description.features, training: manifest.training, specsSHA256: BlobStore.digest(merged.bytes))
        var document = merged.document(job, kinds: try surveyed(job))
        document.forget()
        let bundle = Bundle.encode([
            (Bundle.model, try ONNXModel.export(trained, version: version)), (Bundle.schema, [UInt8](try WireCoding.body(manifest.schema))),
            (Bundle.specs, [UInt8](try WireCoding.body(document))),
            (Bundle.metrics, [UInt8](try WireCoding.body(Metrics(epochs: try ledger.epochs(job.id), test: job.test)))),
            (Bundle.lineage, [UInt8](try WireCoding.body(lineage))),
        ])
        let digest = try blobs.put(bundle)
        try ledger.setBundle(job.id, digest)
        return digest
    }

    package func bundle(_ id: Int64) throws -> [UInt8]? {
        guard let digest = try ledger.job(id)?.bundle else { return nil }
        return try blobs.get(digest)
    }

    /// Pushes to each node that has not acknowledged yet; asked again by the timer until all have.
    func tickPublishing() throws {
        guard let job = active, job.stage == .publish, !job.publishing, let publish = job.description.publish,
            let record = try ledger.job(job.id)
        else { return }
        let digest: String
        do { digest = try record.bundle ?? makeBundle(record) } catch { return try finish(.failed, error: "the model cannot be bundled: \(error)") }
        let acknowledged = Set(try ledger.publications(job.id).filter { $0.acknowledged && $0.digest == digest }.map(\.node))
        let waiting = publish.nodes.filter { !acknowledged.contains($0) }
        guard !waiting.isEmpty else { return try enter(.done) }
        guard let bytes = try blobs.get(digest) else { return try finish(.failed, error: "the finished model's bundle is lost from the state directory") }
        active!.publishing = true
        Task {
            for node in waiting {
                let answer = await Self.push(bytes, digest, to: node, model: publish.model)
                pushed(job.id, node, digest, answer)
            }
            try? await Task.sleep(for: .seconds(1))
            if active?.id == job.id { active!.publishing = false }
        }
    }

    enum PushAnswer: Sendable {
        case acknowledged
        case refused(String)
        case unreachable(String)
    }

    /// A node that is not there is an answer at once, not after a minute of tries.
    private static let http: HTTPClient = {
        var configuration = HTTPClient.Configuration(timeout: .init(connect: .seconds(5)))
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    private static func push(_ bytes: [UInt8], _ digest: String, to node: String, model: String) async -> PushAnswer {
        var request = HTTPClientRequest(url: "\(node)/api/v1/servables/\(model)")
        request.method = .POST
        request.headers.add(name: "X-Content-SHA256", value: digest)
        request.body = .bytes(ByteBuffer(bytes: bytes))
        do {
            let response = try await http.execute(request, timeout: .seconds(60))
            let text = String(buffer: try await response.body.collect(upTo: 1 << 20))
            if response.status.code == 200 { return .acknowledged }
            return response.status.code < 500 ? .refused("\(response.status.code) \(text)") : .unreachable("\(response.status.code) \(text)")
        } catch { return .unreachable("\(error)") }
    }

    private func pushed(_ job: Int64, _ node: String, _ digest: String, _ answer: PushAnswer) {
        guard active?.id == job else { return }
        do {
            switch answer {
            case .acknowledged: try ledger.recordPublication(job, node: node, digest: digest, acknowledged: true)
            case .refused(let reason): try finish(.failed, error: "the inference node \(node) refuses the model: \(reason)")
            case .unreachable(let reason): active!.publishWaits = "the inference node \(node) (\(reason))"
            }
        } catch { log.error("\(error)") }
    }
}
