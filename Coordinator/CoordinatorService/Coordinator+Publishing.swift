import AsyncHTTPClient
import Bytes
import Cluster
import Features
import Foundation
import Ledger
import Models
import NIOCore
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
        document.forget()
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

    /// Pushes to each node that has not acknowledged yet, again and again until all have or the job ends.
    func publish(_ id: JobID) {
        guard publishing.insert(id).inserted else { return }
        Task {
            while await pushOnce(id) { try? await Task.sleep(for: .seconds(1)) }
            publishing.remove(id)
        }
    }

    /// - Returns: whether it must be tried again.
    private func pushOnce(_ id: JobID) async -> Bool {
        guard let live = core.scheduler.jobs[id], live.stage == .publish else { return false }
        if live.paused { return true }
        do {
            guard let record = try ledger.job(id), let publish = record.description.publish else { return false }
            guard let digest = record.bundle, let bytes = try blobs.get(digest) else {
                post(.publishRefused(job: id, "the finished model's bundle is lost from the state directory"))
                return false
            }
            let acknowledged = Set(
                try ledger.publications(id).filter { $0.acknowledged && $0.digest == digest }.map(\.node))
            var isComplete = true
            for node in publish.nodes where !acknowledged.contains(node) {
                switch await Self.push(bytes, digest, to: node, model: publish.model) {
                case .acknowledged: process([.published(job: id, node: node, digest: digest)])
                case .refused(let reason):
                    post(.publishRefused(job: id, "the inference node \(node) refuses the model: \(reason)"))
                    return false
                case .unreachable(let reason):
                    post(.publishWaits(job: id, "the inference node \(node) (\(reason))"))
                    isComplete = false
                }
            }
            if isComplete { post(.publishedEverywhere(job: id)) }
            return !isComplete
        } catch {
            log.error("\(error)")
            return true
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
            return response.status.code < 500
                ? .refused("\(response.status.code) \(text)") : .unreachable("\(response.status.code) \(text)")
        } catch { return .unreachable("\(error)") }
    }
}
