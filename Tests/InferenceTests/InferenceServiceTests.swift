import Bytes
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import InferenceService
import Testing

/// The HTTP face of a node, without a network.
@Suite struct InferenceServiceTests {
    private struct Infer: Decodable {
        struct Output: Decodable {
            var name: String
            var datatype: String
            var shape: [Int]
            var data: [Double]
        }
        var model_name: String
        var model_version: String
        var id: String?
        var outputs: [Output]
    }

    private struct Failure: Decodable { var error: String }

    private func withNode(
        limits: InferenceService.Limits = .init(), _ body: @Sendable (any TestClientProtocol) async throws -> Void
    ) async throws {
        let directory = TemporaryDirectory()
        let store = try ModelStore(directory: directory.url, threads: 2)
        let service = InferenceService(store: store, version: "test", limits: limits)
        try await Application(router: service.router()).test(.router, body)
        withExtendedLifetime(directory) {}
    }

    private func post(
        _ client: any TestClientProtocol, _ path: String, _ body: String
    ) async throws -> (status: HTTPResponse.Status, text: String) {
        try await client.execute(uri: path, method: .post, body: ByteBuffer(string: body)) {
            ($0.status, String(buffer: $0.body))
        }
    }

    private func push(
        _ client: any TestClientProtocol, _ name: String, _ bytes: [UInt8], digest: String? = nil
    ) async throws -> (status: HTTPResponse.Status, text: String) {
        var headers = HTTPFields()
        if let field = HTTPField.Name("X-Content-SHA256") { headers[field] = digest ?? Digest.sha256(bytes) }
        return try await client.execute(
            uri: "/api/v1/servables/\(name)", method: .post, headers: headers, body: ByteBuffer(bytes: bytes)
        ) { ($0.status, String(buffer: $0.body)) }
    }

    private func value<T: Decodable>(_ type: T.Type, _ text: String) throws -> T {
        try JSONDecoder().decode(type, from: Data(text.utf8))
    }

    @Test func aPushedModelIsDescribedAndScored() async throws {
        try await withNode { client in
            let missing = try await post(client, "/v2/models/m/infer", "{}")
            #expect(missing.status == .notFound && missing.text.contains("no model yet"))
            let pushed = try await push(client, "m", try sampleBundle(bias: 1))
            #expect(pushed.status == .ok && pushed.text.contains("\"state\":\"available\""), "\(pushed.text)")
            let metadata = try await client.execute(uri: "/v2/models/m", method: .get) { String(buffer: $0.body) }
            let expected = #"""
                {"inputs":[{"datatype":"FP32","name":"features","parameters":{"features":["a","b"]},"shape":[-1,2]}],\#
                "name":"m","outputs":[{"datatype":"FP32","name":"scores","shape":[-1,1]}],\#
                "platform":"beamline_onnx","versions":["1"]}
                """#
            #expect(metadata == expected)
            let body = #"""
                {"id": "7", "inputs": [{"name": "features", "shape": [3, 2], "datatype": "FP32", \#
                "data": [[0, 1], [2, null], [-1, 1e300]]}]}
                """#
            let answer = try value(Infer.self, try await post(client, "/v2/models/m/infer", body).text)
            #expect(answer.model_name == "m" && answer.model_version == "1" && answer.id == "7")
            #expect(answer.outputs[0].name == "scores" && answer.outputs[0].shape == [3, 1])
            for (found, a) in zip(answer.outputs[0].data, [0.0, 2, -1]) {
                #expect(abs(found - sampleScore(bias: 1, a: a)) < 1e-6)
            }
            let ready = try await client.execute(uri: "/v2/models/m/ready", method: .get) { String(buffer: $0.body) }
            #expect(ready == #"{"name":"m","ready":true}"#)
            let models = try await client.execute(uri: "/models", method: .get) { String(buffer: $0.body) }
            #expect(models == #"[{"name":"m","version":1}]"#)
            let live = try await client.execute(uri: "/v2/health/live", method: .get) { String(buffer: $0.body) }
            #expect(live == #"{"live":true}"#)
        }
    }

    @Test func missingValuesMayBeNullOrNotFinite() async throws {
        try await withNode { client in
            _ = try await push(client, "m", try sampleBundle(bias: 1))
            let expected = sampleScore(bias: 1, a: 0)
            for missing in ["null", "NaN", "Infinity", "-Infinity", "\"NaN\"", "1e39"] {
                let flat = #"""
                    {"inputs": [{"name": "features", "shape": [1, 2], "datatype": "FP64", \#
                    "data": [\#(missing), 3]}]}
                    """#
                let answer = try await post(client, "/v2/models/m/infer", flat)
                #expect(answer.status == .ok, "\(missing): \(answer.text)")
                let scores = try value(Infer.self, answer.text)
                #expect(abs(scores.outputs[0].data[0] - expected) < 1e-6, "\(missing)")
                let named = try await post(
                    client, "/json", #"{"model": "m", "keys": ["b", "a"], "values": [3, \#(missing)]}"#)
                #expect(abs(try value([Double].self, named.text)[0] - expected) < 1e-6, "\(missing)")
            }
            let deep = #"""
                {"inputs": [{"name": "features", "shape": [2, 2], "datatype": "FP32", \#
                "data": [[[0], [1]], [0, [1]]]}]}
                """#
            #expect(try await post(client, "/v2/models/m/infer", deep).status == .ok)
            let one = try await post(client, "/json", #"{"model": "m", "keys": ["a"], "values": [[2]]}"#)
            #expect(abs(try value([Double].self, one.text)[0] - sampleScore(bias: 1, a: 2)) < 1e-6)
        }
    }

    @Test func wrongRequestsReportWhatIsWrong() async throws {
        try await withNode { client in
            _ = try await push(client, "m", try sampleBundle(bias: 1))
            func input(_ fields: String) -> String { #"{"inputs": [{\#(fields)}]}"# }
            let wrong: [(path: String, body: String, error: String)] = [
                ("/v2/models/m/infer", "", "cannot be read"), ("/v2/models/m/infer", "[1, 2", "cannot be read"),
                ("/v2/models/m/infer", "{}", "inputs"), ("/v2/models/m/infer", #"{"inputs": []}"#, "inputs"),
                (
                    "/v2/models/m/infer", input(#""name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]"#),
                    "features"
                ),
                (
                    "/v2/models/m/infer",
                    input(#""name": "features", "shape": [1, 2], "datatype": "INT8", "data": [1, 2]"#), "FP32"
                ),
                (
                    "/v2/models/m/infer",
                    input(#""name": "features", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]"#), "shape"
                ),
                (
                    "/v2/models/m/infer",
                    input(#""name": "features", "shape": [2, 2], "datatype": "FP32", "data": [1, 2]"#), "values"
                ),
                (
                    "/v2/models/m/infer",
                    input(#""name": "features", "shape": [9223372036854775807, 2], "datatype": "FP32", "data": [1]"#),
                    "values"
                ),
                (
                    "/v2/models/m/infer",
                    input(#""name": "features", "shape": "all", "datatype": "FP32", "data": {"a": 1}"#), "shape"
                ),
                (
                    "/v2/models/m/infer",
                    input(#""name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1, "two"]"#), "data"
                ),
                ("/v2/models/m/infer", input(#""name": "features", "shape": [1, 2], "datatype": "FP32""#), "data"),
                ("/json", #"{"model": "m", "keys": ["nonsense"], "values": [1]}"#, "nonsense"),
                ("/json", #"{"model": "m", "keys": ["a", "b"], "values": [1]}"#, "2 values"),
                ("/json", #"{"model": "m", "keys": ["a"], "values": [[1, 2]]}"#, "one value"),
                ("/json", #"{"model": "m", "keys": 3, "values": []}"#, "keys"), ("/json", #"{"keys": []}"#, "model"),
            ]
            for (path, body, error) in wrong {
                let answer = try await post(client, path, body)
                #expect(answer.status == .badRequest, "\(body): \(answer.status)")
                #expect(try value(Failure.self, answer.text).error.contains(error), "\(body): \(answer.text)")
            }
            let other = try await post(client, "/json", #"{"model": "other", "keys": ["a"], "values": [1]}"#)
            #expect(other.status == .notFound && other.text.contains("m"))
            // The node lives.
            #expect(try await post(client, "/json", #"{"model": "m", "keys": ["a"], "values": [1]}"#).status == .ok)
        }
    }

    @Test func damagedBundlesAndNamesAreTurnedAway() async throws {
        try await withNode { client in
            let bundle = try sampleBundle(bias: 1)
            #expect(try await push(client, "m", bundle, digest: "00").status == .badRequest)
            #expect(try await push(client, ".hidden", bundle).status == .badRequest)
            let garbage = try await push(client, "m", [1, 2, 3])
            #expect(garbage.status == .badRequest && garbage.text.contains("bundle"))
            #expect(try await push(client, "m", bundle).status == .ok)
        }
    }

    @Test func aFullNodeTurnsRequestsAway() async throws {
        var limits = InferenceService.Limits()
        (limits.maxRequests, limits.maxPushes) = (0, 0)
        try await withNode(limits: limits) { client in
            let answer = try await post(client, "/json", "{}")
            #expect(answer.status == .serviceUnavailable && answer.text.contains("later"))
            #expect(try await push(client, "m", try sampleBundle(bias: 1)).status == .serviceUnavailable)
            #expect(try await client.execute(uri: "/v2/health/live", method: .get) { $0.status } == .ok)
        }
    }

    /// Each route that the node lists is one, and others are not.
    @Test func theListOfRoutesHolds() async throws {
        let directory = TemporaryDirectory()
        let service = InferenceService(
            store: try ModelStore(directory: directory.url, threads: 1), version: "test")
        try await Application(router: service.router()).test(.router) { client in
            for route in service.routes.routes {
                let method = try #require(HTTPRequest.Method(route.method))
                let path = route.path.replacing(":model", with: "m")
                let body = try await client.execute(uri: path, method: method) { String(buffer: $0.body) }
                #expect(!body.contains("nothing is served at"), "\(route.method) \(path)")
                try await client.execute(uri: path, method: .options) { response in
                    #expect(response.status == .methodNotAllowed)
                    #expect(response.headers[.allow]?.contains(route.method) == true)
                }
            }
            #expect(try await client.execute(uri: "/v2/nothing", method: .get) { $0.status } == .notFound)
            let index = try await client.execute(uri: "/", method: .get) { String(buffer: $0.body) }
            #expect(index.contains("/v2/models/:model/infer") && index.contains("inference node"))
        }
        withExtendedLifetime(directory) {}
    }

    /// A page in a browser of this machine gets nothing done.
    @Test func requestsOfPagesAreTurnedAway() async throws {
        try await withNode { client in
            _ = try await push(client, "m", try sampleBundle(bias: 1))
            let body = ByteBuffer(string: #"{"model": "m", "keys": ["a"], "values": [1]}"#)
            func status(_ headers: HTTPFields) async throws -> HTTPResponse.Status {
                try await client.execute(uri: "/json", method: .post, headers: headers, body: body) { $0.status }
            }
            #expect(try await status([.contentType: "application/json"]) == .ok)
            #expect(try await status([.contentType: "application/json", .origin: "http://localhost"]) == .ok)
            #expect(try await status([.contentType: "application/json", .origin: "http://evil.example"]) == .forbidden)
            #expect(try await status([.contentType: "text/plain"]) == .unsupportedMediaType)
            #expect(try await status([.contentType: "application/x-www-form-urlencoded"]) == .unsupportedMediaType)
        }
    }

    @Test func bodiesHaveABudget() async throws {
        var limits = InferenceService.Limits()
        (limits.maxRequestBytes, limits.maxPushBytes) = (100_000, 10)
        try await withNode(limits: limits) { client in
            let large = try await post(client, "/json", String(repeating: " ", count: 200_000))
            #expect(large.status == .serviceUnavailable && large.text.contains("as much as it can"))
            let small = try await post(client, "/json", "{}")
            #expect(small.status == .badRequest)
            let pushed = try await push(client, "m", try sampleBundle(bias: 1))
            #expect(pushed.status == .serviceUnavailable)
        }
    }

    /// A document that is large enough for a thread of its own is read as others are.
    @Test(arguments: [1000, 20_000]) func largeRequestsAreAnswered(_ rows: Int) async throws {
        try await withNode { client in
            _ = try await push(client, "m", try sampleBundle(bias: 1))
            let data = (0..<rows).map { "[\($0 % 7),0.125000000000]" }.joined(separator: ",")
            let body = #"""
                {"inputs": [{"name": "features", "shape": [\#(rows), 2], "datatype": "FP32", "data": [\#(data)]}]}
                """#
            let answer = try await post(client, "/v2/models/m/infer", body)
            let outputs = try value(Infer.self, answer.text).outputs[0]
            #expect(outputs.shape == [rows, 1] && outputs.data.count == rows)
            #expect(abs(outputs.data[rows - 1] - sampleScore(bias: 1, a: Double((rows - 1) % 7))) < 1e-6)
            let broken = try await post(client, "/v2/models/m/infer", String(body.dropLast(3)))
            #expect(broken.status == .badRequest && broken.text.contains("cannot be read"))
        }
    }

    @Test func aModelWithoutRoomMayBePushedLater() async throws {
        let directory = TemporaryDirectory()
        let store = try ModelStore(directory: directory.url, memory: ModelMemory(bytes: 1000))
        let service = InferenceService(store: store, version: "test")
        try await Application(router: service.router()).test(.router) { client in
            let answer = try await push(client, "m", try sampleBundle(bias: 1))
            #expect(answer.status.code == 507 && answer.text.contains("--memory-mib"), "\(answer.text)")
            // What can never be served is the pusher's mistake.
            for (name, bytes) in [("m", [1, 2, 3]), (".m", [1]), (String(repeating: "m", count: 129), [1])]
                as [(String, [UInt8])]
            {
                #expect(try await push(client, name, bytes).status == .badRequest)
            }
        }
        withExtendedLifetime(directory) {}
    }

    @Test func aNodeWithAFailedModelIsNotReady() async throws {
        let directory = TemporaryDirectory()
        let bundle = try sampleBundle(bias: 1)
        let first = try ModelStore(directory: directory.url)
        _ = try first.push("bad", bundle)
        _ = try first.push("good", try sampleBundle(bias: 2))
        try Data([1]).write(to: directory.url.appending(path: Digest.sha256(bundle) + ".bundle"))
        let store = try ModelStore(directory: directory.url)
        _ = store.restore()
        let service = InferenceService(store: store, version: "test")
        try await Application(router: service.router()).test(.router) { client in
            func get(_ path: String) async throws -> (status: HTTPResponse.Status, text: String) {
                try await client.execute(uri: path, method: .get) { ($0.status, String(buffer: $0.body)) }
            }
            let ready = try await get("/v2/health/ready")
            #expect(ready.status == .serviceUnavailable && ready.text.contains(#""ready":false"#), "\(ready.text)")
            #expect(ready.text.contains(#""name":"bad""#) && ready.text.contains("damaged"))
            #expect(try await get("/v2/health/live").status == .ok)
            #expect(try await get("/v2/models/good/ready").status == .ok)
            #expect(try await get("/v2/models/bad/ready").status == .serviceUnavailable)
            #expect(try await post(client, "/json", #"{"model": "good", "keys": ["a"], "values": [1]}"#).status == .ok)
            #expect(try await push(client, "bad", bundle).text.contains(#""serving":2"#))
            #expect(try await get("/v2/health/ready").text == #"{"ready":true}"#)
        }
        withExtendedLifetime(directory) {}
    }
}
