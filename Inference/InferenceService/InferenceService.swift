import Bytes
import Cluster
import Dispatch
import Foundation
import HTTPTypes
package import Hummingbird
package import Logging
import Models
package import ServiceLifecycle
import Serving
import Synchronization

/// The HTTP face of an inference node: the Open Inference Protocol v2, TFaaS's endpoints, and the push of bundles.
/// Stateless over the store.
package struct InferenceService: Sendable {
    /// How many requests a node takes at once.
    package struct Limits: Sendable {
        /// The most predictions that are received or computed at once.
        package var maxRequests = 1024
        /// The most bytes of their bodies together.
        package var maxRequestBytes = 1 << 30
        /// The most bundles that are received or loaded at once.
        package var maxPushes = 4

        /// The usual limits.
        package init() {}
    }

    let store: ModelStore
    let version: String
    private let requests: Admission
    private let pushes: Admission
    private let loading = DispatchQueue(label: "beamline.inference.loading", attributes: .concurrent)

    /// Creates the service.
    ///
    /// - Parameters:
    ///   - store: the models that it serves.
    ///   - version: the program's version.
    package init(store: ModelStore, version: String, limits: Limits = Limits()) {
        self.store = store
        self.version = version
        requests = Admission(Backlog(maxRequests: limits.maxRequests, maxBytes: limits.maxRequestBytes))
        pushes = Admission(Backlog(maxRequests: limits.maxPushes, maxBytes: .max))
    }

    /// The most bytes of a request.
    private static let maxRequest = 64 << 20

    /// The routes of the node.
    package func router() -> Router<BasicRequestContext> {
        let router = Router()
        router.get("v2") { _, _ in
            Self.answer { ServerMetadata(name: "beamline", version: version, extensions: []) }
        }
        router.get("v2/health/live") { _, _ in Self.answer { ServerLive(live: true) } }
        router.get("v2/health/ready") { _, _ in
            let failures = store.failures
            guard !failures.isEmpty else { return Self.answer { ServerReady(ready: true) } }
            let body = try MessageCoding.body(ServerReady(ready: false, failed: failures))
            return Self.response(body, .serviceUnavailable)
        }
        router.get("v2/models/:model") { _, context in
            let name = Self.name(context)
            return Self.answer { () throws(InputError) in metadata(name, try store.model(name)) }
        }
        router.get("v2/models/:model/ready") { _, context in
            let name = Self.name(context)
            return Self.answer { () throws(InputError) in
                _ = try store.model(name)
                return ModelReady(name: name, ready: true)
            }
        }
        router.post("v2/models/:model/infer") { request, context in
            await predict(request) { (body) async throws(InputError) in try await infer(Self.name(context), body) }
        }
        router.post("json") { request, _ in
            await predict(request) { (body) async throws(InputError) in try await tfaas(body) }
        }
        router.get("models") { _, _ in
            Self.answer { () throws(InputError) in
                var models: [TFaaSModel] = []
                for name in store.names {
                    models.append(TFaaSModel(name: name, version: try store.model(name).version))
                }
                return models
            }
        }
        router.post("api/v1/servables/:model") { request, context in await push(request, Self.name(context)) }
        return router
    }

    private static func name(_ context: BasicRequestContext) -> String { context.parameters.get("model") ?? "" }

    /// The HTTP server, as a service. Models that were pushed before are loaded first.
    package func server(host: String, port: Int, log: Logger) -> any Service {
        let restored = store.restore()
        for name in restored.names { log.info("model \(name) is loaded again") }
        for failure in restored.failures {
            log.error("the model \(failure.name) of an earlier run cannot be served: \(failure.reason)")
        }
        for note in restored.notes { log.warning("\(note)") }
        return Application(router: router(), configuration: .init(address: .hostname(host, port: port)), logger: log)
    }

    // MARK: Answers

    /// The requests of a kind that are under way.
    private final class Admission: Sendable {
        private let backlog: Mutex<Backlog>

        init(_ backlog: Backlog) { self.backlog = Mutex(backlog) }

        func enter(_ size: Int) -> Bool { backlog.withLock { $0.enter(size) } }
        func leave(_ size: Int) { backlog.withLock { $0.leave(size) } }
    }

    private static func answer<T: Encodable>(_ body: () throws(InputError) -> T) -> Response {
        do throws(InputError) { return response(try MessageCoding.body(try body())) } catch { return failure(error) }
    }

    private static func response(_ body: Data, _ status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"],
            body: .init(byteBuffer: ByteBuffer(bytes: body)))
    }

    private static func failure(_ error: InputError) -> Response {
        let status: HTTPResponse.Status =
            switch error.code {
            case .missing: .notFound
            // What is wrong here and not with the request, and may pass.
            case .full: .init(code: 507, reasonPhrase: "Insufficient Storage")
            case .unreachable, .deadline, .faulty: .serviceUnavailable
            case .truncated, .badMagic, .badLength, .badChecksum, .corrupt, .unsupported, .limit, .input, .denied,
                .changed:
                .badRequest
            }
        return failure(error.description, status)
    }

    private static func failure(_ text: String, _ status: HTTPResponse.Status) -> Response {
        response((try? MessageCoding.body(ErrorAnswer(error: text))) ?? Data("{}".utf8), status)
    }

    private static func overloaded(_ what: String) -> Response {
        var response = failure("the node has too many \(what) under way; try again later", .serviceUnavailable)
        response.headers[.retryAfter] = "1"
        return response
    }

    /// Takes a prediction's body within the limits and answers it.
    private func predict<T: Encodable>(
        _ request: Request, _ body: (Data) async throws(InputError) -> T
    ) async -> Response {
        let announced = request.headers[.contentLength].flatMap { Int($0) } ?? Self.maxRequest
        guard (0...Self.maxRequest).contains(announced) else {
            return Self.failure("the request is too large", .contentTooLarge)
        }
        guard requests.enter(announced) else { return Self.overloaded("requests") }
        defer { requests.leave(announced) }
        guard let content = try? await request.body.collect(upTo: announced) else {
            return Self.failure("the request is larger than announced, or broke off", .contentTooLarge)
        }
        do throws(InputError) {
            let result = try await body(Data(content.readableBytesView))
            return Self.response(try MessageCoding.body(result))
        } catch { return Self.failure(error) }
    }

    // MARK: Open Inference Protocol

    private func metadata(_ name: String, _ model: ServedModel) -> ModelMetadata {
        func tensor(_ spec: TensorSpec, features: [String]? = nil) -> ModelMetadata.Tensor {
            .init(
                name: spec.name, datatype: "FP32", shape: [-1] + spec.shape,
                parameters: features.map { .init(features: $0) })
        }
        let features = model.predictor.features
        return ModelMetadata(
            name: name, versions: ["\(model.version)"], platform: "beamline_onnx",
            inputs: model.predictor.inputs.map { input in
                tensor(input, features: input.shape == [features.count] ? features : nil)
            },
            outputs: model.predictor.outputs.map { tensor($0) })
    }

    private func infer(_ name: String, _ body: Data) async throws(InputError) -> InferResponse {
        let model = try store.model(name)
        let inputs = model.predictor.inputs.map { input in
            "{name: \(input.name), shape: [samples, \(input.shape.map(String.init).joined(separator: ", "))], "
                + "datatype: FP32, data: [...]}"
        }
        let request = try MessageCoding.value(
            InferRequest.self, body, expected: "inputs: [\(inputs.joined(separator: ", "))]")
        for input in request.inputs where !["FP32", "FP64"].contains(input.datatype) {
            throw InputError(
                .input, "the datatype of an input is wrong", object: input.name, expected: "FP32",
                found: input.datatype)
        }
        let outputs: [NamedTensor]
        do throws(InputError) {
            outputs = try await store.predict(
                model, request.inputs.map { NamedTensor(name: $0.name, shape: $0.shape, values: $0.data.values) })
        } catch {
            var error = error
            error.hint = error.hint ?? "GET /v2/models/\(name) lists the inputs; null stands for a missing value."
            throw error
        }
        return InferResponse(
            modelName: name, modelVersion: "\(model.version)", id: request.id,
            outputs: outputs.map {
                .init(name: $0.name, datatype: "FP32", shape: $0.shape, data: $0.values.map(Double.init))
            })
    }

    // MARK: TFaaS

    private func tfaas(_ body: Data) async throws(InputError) -> [Double] {
        let request = try MessageCoding.value(
            TFaaSRequest.self, body, expected: "{model: NAME, keys: [names of features], values: [numbers]}")
        guard request.keys.count == request.values.count else {
            throw InputError(
                .input, "keys and values differ in number", expected: "\(request.keys.count) values",
                found: "\(request.values.count)")
        }
        let model = try store.model(request.model)
        guard let input = model.predictor.inputs.first, model.predictor.inputs.count == 1 else {
            throw InputError(.unsupported, "the model does not take features by name", object: request.model)
        }
        var row = [Float](repeating: .nan, count: input.count)
        for (key, value) in zip(request.keys, request.values) {
            guard let index = model.index(of: key) else {
                throw InputError(
                    .input, "the model has no feature \(key.debugDescription)",
                    hint: "GET /v2/models/\(request.model) lists its features.")
            }
            row[index] = value.number
        }
        let tensor = NamedTensor(name: input.name, shape: [1] + input.shape, values: row)
        return try await store.predict(model, [tensor]).flatMap(\.values).map(Double.init)
    }

    // MARK: Push

    private static let digestField = HTTPField.Name("X-Content-SHA256")

    private func push(_ request: Request, _ name: String) async -> Response {
        guard pushes.enter(0) else { return Self.overloaded("bundles") }
        defer { pushes.leave(0) }
        guard let content = try? await request.body.collect(upTo: ModelBundle.maxBytes) else {
            return Self.failure("the bundle is too large, or broke off", .contentTooLarge)
        }
        let announced = Self.digestField.flatMap { request.headers[$0] }
        let bytes = [UInt8](content.readableBytesView)
        let (store, loading) = (store, loading)
        let result: Result<ModelStore.Pushed, InputError> = await withCheckedContinuation { continuation in
            loading.async {
                continuation.resume(
                    returning: Result { () throws(InputError) in
                        try Self.check(bytes, announced: announced, name: name)
                        return try store.push(name, bytes)
                    })
            }
        }
        return Self.answer { () throws(InputError) in
            let pushed = try result.get()
            return PushAnswer(
                name: name, version: pushed.version, sha256: pushed.digest, state: pushed.state,
                serving: pushed.serving)
        }
    }

    private static func check(_ bytes: [UInt8], announced: String?, name: String) throws(InputError) {
        let digest = Digest.sha256(bytes)
        guard announced == digest else {
            throw InputError(
                .badChecksum, "the bundle arrived damaged", expected: announced ?? "a header X-Content-SHA256",
                found: digest)
        }
        guard ModelName.isValid(name) else {
            throw InputError(
                .input, "the model's name cannot be used", expected: ModelName.expected, found: name.debugDescription)
        }
    }
}
