import AsyncHTTPClient
import Bytes
import Cluster
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import Scheduling

/// Pushes finished models to inference nodes, again and again until each has acknowledged or the job ends.
actor Publisher {
    /// What is left to push of a job's model.
    enum Work: Sendable {
        /// The job is not in its publishing stage any more.
        case over
        /// The job is paused.
        case later
        case push(digest: String, model: String, nodes: [String])
    }

    private let blobs: BlobStore
    private let log: Logger
    private let threads = BlockingThreads(1)
    private let http: HTTPClient
    /// Jobs whose model is being pushed.
    private var publishing: Set<JobID> = []

    init(blobs: BlobStore, log: Logger) {
        self.blobs = blobs
        self.log = log
        // A node that is not there is an answer at once, not after a minute of tries.
        var configuration = HTTPClient.Configuration(timeout: .init(connect: .seconds(5)))
        configuration.connectionPool.retryConnectionEstablishment = false
        http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    /// Pushes the job's model until nothing is left to push. A job that is being pushed already is left alone.
    func publish(_ job: JobID, for coordinator: Coordinator) async {
        guard publishing.insert(job).inserted else { return }
        var delay = PublishDelay()
        while let outcome = await pushOnce(job, for: coordinator) {
            do { try await Task.sleep(for: .seconds(delay.seconds(after: outcome))) } catch { break }
        }
        publishing.remove(job)
    }

    /// Closes the connections.
    func shutDown() async { try? await http.shutdown() }

    /// - Returns: why it must be tried again; nil where nothing is left to push.
    private func pushOnce(_ job: JobID, for coordinator: Coordinator) async -> PublishDelay.Outcome? {
        do {
            switch try await coordinator.publication(of: job) {
            case .over: return nil
            case .later: return .paused
            case .push(let digest, let model, let nodes):
                let blobs = blobs
                guard let bytes = try await threads.run({ try blobs.get(digest) }) else {
                    coordinator.post(
                        .publishRejected(job: job, "the finished model's bundle is lost from the state directory"))
                    return nil
                }
                return await push(bytes, digest, model: model, to: nodes, job: job, for: coordinator)
            }
        } catch {
            log.error("job \(job) cannot be published: \(error)")
            return .unreachable
        }
    }

    /// - Returns: why it must be tried again; nil where no node is left.
    private func push(
        _ bytes: [UInt8], _ digest: String, model: String, to nodes: [String], job: JobID, for coordinator: Coordinator
    ) async -> PublishDelay.Outcome? {
        var outcome: PublishDelay.Outcome?
        for node in nodes {
            switch await push(bytes, digest, model: model, to: node) {
            case .acknowledged(let laterVersion):
                if let laterVersion { log.notice("\(node) serves a later version of \(model): \(laterVersion)") }
                await coordinator.acknowledged(job, node: node, digest: digest)
            case .rejected(let reason):
                coordinator.post(
                    .publishRejected(job: job, "the inference node \(node) rejects the model: \(reason)"))
                return nil
            case .noRoom(let reason):
                coordinator.post(.publishWaits(job: job, "the inference node \(node) (\(reason))"))
                outcome = outcome ?? .noRoom
            case .unreachable(let reason):
                coordinator.post(.publishWaits(job: job, "the inference node \(node) (\(reason))"))
                outcome = .unreachable
            }
        }
        if outcome == nil { coordinator.post(.publishedEverywhere(job: job)) }
        return outcome
    }

    private func push(_ bytes: [UInt8], _ digest: String, model: String, to node: String) async -> PublishAnswer {
        var request = HTTPClientRequest(url: "\(node)/api/v1/servables/\(model)")
        request.method = .POST
        request.headers.add(name: "X-Content-SHA256", value: digest)
        request.headers.add(name: "content-type", value: "application/x-tar")
        request.body = .bytes(ByteBuffer(bytes: bytes))
        do {
            let response = try await http.execute(request, timeout: .seconds(60))
            let text = String(buffer: try await response.body.collect(upTo: 1 << 20))
            return PublishAnswer(status: response.status.code, text)
        } catch { return .unreachable("\(error)") }
    }
}
