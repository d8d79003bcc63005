import Bytes
import Cluster
import Dispatch
import Foundation
package import HTTPFace
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
    /// How much a node takes at once.
    package struct Limits: Sendable {
        /// The most predictions that are received or computed at once.
        package var maxRequests = 1024
        /// The most bytes of their bodies together; a quarter of them is for bodies of up to 1 MiB.
        package var maxRequestBytes = 256 << 20
        /// The most bundles that are received or loaded at once.
        package var maxPushes = 4
        /// The most bytes of these bundles together.
        package var maxPushBytes = 1 << 30

        /// The usual limits.
        package init() {}
    }

    let store: ModelStore
    let version: String
    private let policy: RequestPolicy
    private let requests: Admission
    private let pushes: Admission
    private let bodies: BodyReader
    private let bundles: BodyReader
    private let parsing = RequestParsing()
    private let loading = DispatchQueue(label: "beamline.inference.loading", attributes: .concurrent)

    /// Creates the service.
    ///
    /// - Parameters:
    ///   - store: the models that it serves.
    ///   - version: the program's version.
    ///   - policy: whose requests it answers.
    package init(
        store: ModelStore, version: String, policy: RequestPolicy = RequestPolicy(names: []), limits: Limits = Limits()
    ) {
        self.store = store
        self.version = version
        self.policy = policy
        requests = Admission(Backlog(maxRequests: limits.maxRequests, maxBytes: .max))
        pushes = Admission(Backlog(maxRequests: limits.maxPushes, maxBytes: .max))
        bodies = BodyReader(BodyBudget(total: limits.maxRequestBytes, keptForSmall: limits.maxRequestBytes / 4))
        bundles = BodyReader(BodyBudget(total: limits.maxPushBytes, keptForSmall: 0))
    }

    /// The most bytes of a request.
    private static let maxRequest = 64 << 20

    /// What the node serves.
    package var routes: RouteList {
        RouteList(
            server: "a beamline inference node", version: version,
            routes: [
                .init("GET", "/v2", "the server"),
                .init("GET", "/v2/health/live", "whether it runs"),
                .init("GET", "/v2/health/ready", "whether it takes requests"),
                .init("GET", "/v2/models/:model", "a model's inputs and outputs"),
                .init("GET", "/v2/models/:model/ready", "whether it is served"),
                .init("POST", "/v2/models/:model/infer", "predictions, Open Inference Protocol (application/json)"),
                .init("POST", "/json", "the prediction for one event, as TFaaS (application/json)"),
                .init("GET", "/models", "the models, as TFaaS"),
                .init("POST", "/api/v1/servables/:model", "a bundle to be served (application/x-tar)"),
            ])
    }

    /// The routes of the node.
    package func router() -> Router<FaceContext> {
        let router = Router(context: FaceContext.self)
        router.add(middleware: FaceMiddleware(policy: policy, routes: routes))
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
            let name = Self.name(context)
            return try await predict(request, context) { (body) throws(InputError) in try inference(name, body) }
        }
        router.post("json") { request, context in
            try await predict(request, context) { (body) throws(InputError) in try tfaas(body) }
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
        router.post("api/v1/servables/:model") { request, context in
            try await push(request, context, Self.name(context))
        }
        return router
    }

    private static func name(_ context: FaceContext) -> String { context.parameters.get("model") ?? "" }

    /// The HTTP server, as a service. Models that were pushed before are loaded first.
    ///
    /// - Parameters:
    ///   - host: where it listens, a name or an address.
    ///   - connections: those that it may hold at once.
    package func server(host: String, port: Int, connections: Int, log: Logger) throws -> any Service {
        let restored = store.restore()
        for name in restored.names { log.info("model \(name) is loaded again") }
        for failure in restored.failures {
            log.error("the model \(failure.name) of an earlier run cannot be served: \(failure.reason)")
        }
        for note in restored.notes { log.warning("\(note)") }
        let gate = ConnectionGate("port \(port)", max: connections, log: log)
        return try FaceServer(host: host, port: port, gate: gate).service(router(), log: log)
    }

    // MARK: Answers

    /// The requests of a kind that are under way.
    private final class Admission: Sendable {
        private let backlog: Mutex<Backlog>

        init(_ backlog: Backlog) { self.backlog = Mutex(backlog) }

        func enter() -> Bool { backlog.withLock { $0.enter(0) } }
        func leave() { backlog.withLock { $0.leave(0) } }
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
        return FaceFailure(status, error.description).response
    }

    private static func overloaded(_ what: String) -> FaceFailure {
        FaceFailure(
            .serviceUnavailable, "the node has too many \(what) under way; try again later",
            headers: [.retryAfter: "1"])
    }

    /// A prediction that was read: what is computed, and how the answer is written.
    private struct Prediction: Sendable {
        let model: ServedModel
        let inputs: [NamedTensor]
        /// What helps where the inputs do not fit.
        var hint: String?
        let answer: @Sendable ([NamedTensor]) throws(InputError) -> Data
    }

    /// Takes a prediction's body within the limits and answers it.
    private func predict(
        _ request: Request, _ context: FaceContext,
        _ read: @escaping @Sendable (Data) throws(InputError) -> Prediction
    ) async throws -> Response {
        guard requests.enter() else { throw Self.overloaded("requests") }
        defer { requests.leave() }
        return try await bodies.withBody(
            of: request, context, upTo: Self.maxRequest, types: ["application/json"], as: Data.self
        ) { body in
            do throws(InputError) {
                let prediction = try await parsing.run(bytes: body.count) { () throws(InputError) in try read(body) }
                let outputs: [NamedTensor]
                do throws(InputError) {
                    outputs = try await store.predict(prediction.model, prediction.inputs)
                } catch {
                    var error = error
                    error.hint = error.hint ?? prediction.hint
                    throw error
                }
                // A number has up to about 20 digits.
                let size = 20 * outputs.reduce(0) { $0 + $1.values.count }
                return Self.response(
                    try await parsing.run(bytes: size) { () throws(InputError) in try prediction.answer(outputs) })
            } catch { return Self.failure(error) }
        }
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

    private func inference(_ name: String, _ body: Data) throws(InputError) -> Prediction {
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
        let tensors = request.inputs.map { NamedTensor(name: $0.name, shape: $0.shape, values: $0.data.values) }
        let id = request.id
        return Prediction(
            model: model, inputs: tensors,
            hint: "GET /v2/models/\(name) lists the inputs; null stands for a missing value."
        ) { (outputs) throws(InputError) in
            try MessageCoding.body(
                InferResponse(
                    modelName: name, modelVersion: "\(model.version)", id: id,
                    outputs: outputs.map {
                        .init(name: $0.name, datatype: "FP32", shape: $0.shape, data: $0.values.map(Double.init))
                    }))
        }
    }

    // MARK: TFaaS

    private func tfaas(_ body: Data) throws(InputError) -> Prediction {
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
        return Prediction(model: model, inputs: [tensor]) { (outputs) throws(InputError) in
            try MessageCoding.body(outputs.flatMap(\.values).map(Double.init))
        }
    }

    // MARK: Push

    private static let digestField = HTTPField.Name("X-Content-SHA256")

    private func push(_ request: Request, _ context: FaceContext, _ name: String) async throws -> Response {
        guard pushes.enter() else { throw Self.overloaded("bundles") }
        defer { pushes.leave() }
        do throws(InputError) { try Self.check(name: name) } catch { return Self.failure(error) }
        let announced = Self.digestField.flatMap { request.headers[$0] }
        return try await bundles.withBody(
            of: request, context, upTo: ModelBundle.maxBytes, types: ["application/x-tar", "application/octet-stream"],
            as: [UInt8].self
        ) { bytes in
            let (store, loading) = (store, loading)
            let result: Result<ModelStore.Pushed, InputError> = await withCheckedContinuation { continuation in
                loading.async {
                    continuation.resume(
                        returning: Result { () throws(InputError) in
                            try Self.check(bytes, announced: announced)
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
    }

    private static func check(_ bytes: [UInt8], announced: String?) throws(InputError) {
        let digest = Digest.sha256(bytes)
        guard announced == digest else {
            throw InputError(
                .badChecksum, "the bundle arrived damaged", expected: announced ?? "a header X-Content-SHA256",
                found: digest)
        }
    }

    private static func check(name: String) throws(InputError) {
        guard ModelName.isValid(name) else {
            throw InputError(
                .input, "the model's name cannot be used", expected: ModelName.expected, found: name.debugDescription)
        }
    }
}
