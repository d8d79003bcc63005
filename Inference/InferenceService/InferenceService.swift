import Bytes
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import Models
import ServiceLifecycle

/// The HTTP face of an inference node: the Open Inference Protocol v2, TFaaS's endpoints, and the push of bundles. Stateless over the store.
package struct InferenceService: Sendable {
    let store: ModelStore
    let version: String

    package init(store: ModelStore, version: String) {
        self.store = store
        self.version = version
    }

    /// Bytes of a bundle at most.
    private static let bundleLimit = 1 << 30
    /// Bytes of a request at most.
    private static let requestLimit = 64 << 20

    func router() -> Router<BasicRequestContext> {
        let router = Router()
        router.get("v2") { _, _ in Self.json(["name": "beamline", "version": version, "extensions": [String]()]) }
        router.get("v2/health/live") { _, _ in Self.json(["live": true]) }
        router.get("v2/health/ready") { _, _ in Self.json(["ready": true]) }
        router.get("v2/models/:model") { _, context in answer { try metadata(Self.name(context)) } }
        router.get("v2/models/:model/ready") { _, context in
            answer {
                let name = Self.name(context)
                _ = try store.model(name)
                return ["name": name, "ready": true]
            }
        }
        router.post("v2/models/:model/infer") { request, context in
            try await answer(request) { body in try await infer(Self.name(context), body) }
        }
        router.post("json") { request, _ in try await answer(request, tfaas) }
        router.get("models") { _, _ in
            answer { try store.names.map { name in ["name": name, "version": try store.model(name).version] } }
        }
        router.post("api/v1/servables/:model") { request, context in try await push(request, Self.name(context)) }
        return router
    }

    private static func name(_ context: BasicRequestContext) -> String { context.parameters.get("model") ?? "" }

    // MARK: Answers

    private static func json(_ value: Any, _ status: HTTPResponse.Status = .ok) -> Response {
        let data =
            (try? JSONSerialization.data(withJSONObject: value, options: [.sortedKeys, .withoutEscapingSlashes]))
            ?? Data("{}".utf8)
        return Response(
            status: status, headers: [.contentType: "application/json"],
            body: .init(byteBuffer: ByteBuffer(bytes: data)))
    }

    private static func failure(_ error: InputError) -> Response {
        json(["error": error.description], error.code == .missing ? .notFound : .badRequest)
    }

    private func answer(_ body: () throws -> Any) -> Response {
        do { return Self.json(try body()) } catch let error as InputError { return Self.failure(error) } catch {
            return Self.json(["error": "\(error)"], .internalServerError)
        }
    }

    private func answer(_ request: Request, _ body: ([String: Any]) async throws -> Any) async throws -> Response {
        let content = try await request.body.collect(upTo: Self.requestLimit)
        do {
            guard
                let object = try? JSONSerialization.jsonObject(with: Data(content.readableBytesView)) as? [String: Any]
            else {
                throw InputError(.input, "the request is no JSON object")
            }
            return Self.json(try await body(object))
        } catch let error as InputError { return Self.failure(error) }
    }

    // MARK: Open Inference Protocol

    private func metadata(_ name: String) throws -> Any {
        let model = try store.model(name)
        return [
            "name": name, "versions": ["\(model.version)"], "platform": "beamline_onnx",
            "inputs": [
                [
                    "name": ONNXModel.inputName, "datatype": "FP32", "shape": [-1, model.features.count],
                    "parameters": ["features": model.features],
                ] as [String: Any]
            ],
            "outputs": [
                ["name": ONNXModel.outputName, "datatype": "FP32", "shape": [-1, model.model.network.outputs]]
                    as [String: Any]
            ],
        ] as [String: Any]
    }

    private func infer(_ name: String, _ body: [String: Any]) async throws -> Any {
        let model = try store.model(name)
        let width = model.features.count
        guard let inputs = body["inputs"] as? [[String: Any]], inputs.count == 1 else {
            throw InputError(
                .input, "expected one input",
                expected:
                    "inputs: [{name: \(ONNXModel.inputName), shape: [rows, \(width)], datatype: FP32, data: [...]}]")
        }
        let input = inputs[0]
        guard input["name"] as? String == ONNXModel.inputName else {
            throw InputError(
                .input, "the input's name is wrong", expected: ONNXModel.inputName, found: "\(input["name"] ?? "none")")
        }
        let datatype = input["datatype"] as? String ?? ""
        guard ["FP32", "FP64"].contains(datatype) else {
            throw InputError(
                .input, "the input's datatype is wrong", expected: "FP32", found: datatype.isEmpty ? "none" : datatype)
        }
        guard let shape = input["shape"] as? [Int], shape.count == 2, shape[0] > 0, shape[1] == width else {
            throw InputError(
                .input, "the input's shape is wrong", expected: "[rows, \(width)], a value for each feature",
                found: "\(input["shape"] ?? "none")",
                hint: "GET /v2/models/\(name) lists the features; null stands for a missing value.")
        }
        var rows: [Float] = []
        try flatten(input["data"] ?? [], into: &rows)
        guard rows.count % width == 0, rows.count / width == shape[0] else {
            throw InputError(
                .input, "the input has another number of values than its shape says",
                expected: "\(shape[0]) rows of \(width)", found: "\(rows.count) values")
        }
        let scores = try finite(await store.scores(model, rows))
        var response: [String: Any] = [
            "model_name": name, "model_version": "\(model.version)",
            "outputs": [
                [
                    "name": ONNXModel.outputName, "datatype": "FP32", "shape": [shape[0], model.model.network.outputs],
                    "data": scores.map(Double.init),
                ] as [String: Any]
            ],
        ]
        if let id = body["id"] as? String { response["id"] = id }
        return response
    }

    private func flatten(_ value: Any, into rows: inout [Float]) throws(InputError) {
        switch value {
        case let list as [Any]: for item in list { try flatten(item, into: &rows) }
        case is NSNull: rows.append(.nan)
        case let number as NSNumber: rows.append(Self.finite(number.floatValue))
        default:
            throw InputError(
                .input, "a value is no number", expected: "numbers, or null for a missing one", found: "\(value)")
        }
    }

    private func finite(_ scores: [Float]) throws(InputError) -> [Float] {
        guard scores.allSatisfy({ $0 - $0 == 0 }) else {
            throw InputError(.input, "the values are too large for the model: its score is no number")
        }
        return scores
    }

    /// As in training, what is not finite in Float32 is missing.
    private static func finite(_ value: Float) -> Float { value - value == 0 ? value : .nan }

    // MARK: TFaaS

    private func tfaas(_ body: [String: Any]) async throws -> Any {
        guard let name = body["model"] as? String, let keys = body["keys"] as? [String],
            let values = body["values"] as? [Any]
        else {
            throw InputError(
                .input, "expected model, keys and values", found: body.keys.sorted().joined(separator: ", "))
        }
        guard keys.count == values.count else {
            throw InputError(
                .input, "keys and values differ in number", expected: "\(keys.count) values", found: "\(values.count)")
        }
        let model = try store.model(name)
        var row = [Float](repeating: .nan, count: model.features.count)
        for (key, value) in zip(keys, values) {
            guard let place = model.place(key) else {
                throw InputError(
                    .input, "the model has no feature \(key.debugDescription)",
                    hint: "GET /v2/models/\(name) lists its features.")
            }
            var single: [Float] = []
            try flatten(value, into: &single)
            guard single.count == 1 else {
                throw InputError(.input, "expected one value for \(key)", found: "\(single.count)")
            }
            row[place] = single[0]
        }
        return try finite(await store.scores(model, row)).map(Double.init)
    }

    // MARK: Push

    private func push(_ request: Request, _ name: String) async throws -> Response {
        let content = try await request.body.collect(upTo: Self.bundleLimit)
        let bytes = [UInt8](content.readableBytesView)
        let announced = request.headers[HTTPField.Name("X-Content-SHA256")!]
        do {
            let digest = Digest.sha256(bytes)
            guard announced == digest else {
                throw InputError(
                    .badChecksum, "the bundle arrived damaged", expected: announced ?? "a header X-Content-SHA256",
                    found: digest)
            }
            guard !name.isEmpty, name.utf8.allSatisfy({ $0 < 128 && $0 > 32 && $0 != UInt8(ascii: "/") }),
                !name.hasPrefix(".")
            else {
                throw InputError(.input, "the model's name is not usable", found: name.debugDescription)
            }
            let number = try store.admit(name, bytes)
            return Self.json(
                ["name": name, "version": number, "sha256": digest, "state": "available"] as [String: Any])
        } catch let error as InputError { return Self.failure(error) }
    }

    /// The HTTP server, as a service. Models that were pushed before are loaded first.
    package func server(host: String, port: Int, log: Logger) -> any Service {
        for name in store.restore() { log.info("model \(name) is loaded again") }
        return Application(router: router(), configuration: .init(address: .hostname(host, port: port)), logger: log)
    }
}
