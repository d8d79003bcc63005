import Bytes
import Cluster
import Features
import Foundation
import Models
import TestKit
import Testing

@Suite struct NativePredictorTests {
    static let python = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: ".build-python/bin/python").path

    static let layers: [JobDescription.Layer] = [
        .dropout(rate: 0.2), .dense(units: 7, activation: .relu), .batchNorm(momentum: 0.1, epsilon: 1e-3),
        .dense(units: 6, activation: .tanh), .dropout(rate: 0.5), .dense(units: 6, activation: .gelu), .add(layer: 3),
        .layerNorm(epsilon: 1e-3), .activation(.silu), .activation(.leakyReLU), .dense(units: 5, activation: .sigmoid),
        .activation(.elu), .dense(units: 4, activation: .linear), .activation(.selu),
        .dense(units: 3, activation: .softmax),
    ]

    static let schema = DataSchema(flat: [
        Channel(branch: "a", width: 1, jagged: false, offset: 1, scale: 0.5, fill: -0.25),
        Channel(branch: "b", width: 2, jagged: true, offset: 0, scale: 0, fill: 0.75),
        Channel(branch: "c", width: 1, jagged: false, offset: -2, scale: 3, fill: 0),
    ])

    private func parameters(_ model: some TrainableModel) -> [Float] {
        var parameters = model.initialParameters(seed: 8)
        for index in parameters.indices where parameters[index] == 0 { parameters[index] = Float(index % 5) * 0.1 }
        return parameters
    }

    private func bundle(schema: DataSchema = schema, json: String? = nil) throws -> ModelBundle {
        let model = try NativeModel(inputs: Self.schema.flatWidth, layers: Self.layers)
        let bytes = try model.export(parameters(model), schema: Self.schema, version: "test")
        let document = try json.map { Array($0.utf8) } ?? [UInt8](JSONEncoder().encode(schema))
        return ModelBundle([.init(.model, bytes), .init(.schema, document)])
    }

    private static let rows: [Float] = [
        0.5, .nan, 2, -1, .nan, 1, 1, 0.25, 3, -4, 5, .nan, 0, 0, 0, 0,
    ]

    private func request(_ rows: [Float]) -> [NamedTensor] {
        [NamedTensor(name: "features", shape: [rows.count / 4, 4], values: rows)]
    }

    @Test func scoresAreThoseOfTheModelOnNormalisedFeatures() throws {
        let predictor = try NativePredictor(try bundle())
        #expect(predictor.inputs == [TensorSpec("features", shape: [4])])
        #expect(predictor.outputs == [TensorSpec("scores", shape: [3])])
        #expect(predictor.features == ["a", "b[0]", "b[1]", "c"])
        let model = try NativeModel(inputs: 4, layers: Self.layers)
        // Through the batches of training.
        let store = EventStore(
            Self.schema, rows: PartTable(train: Self.rows, validation: [], test: []),
            labels: PartTable(train: [0, 0, 0, 0], validation: [], test: []))
        var batch = Batch(Self.schema, capacity: 4)
        BatchAssembler(Self.schema).assemble(0..<4, of: store[.train], into: &batch)
        let workspace = try NativeWorkspace(model, capacity: 4)
        let parameters = parameters(model)
        let expected = try workspace.scores(of: batch, parameters: parameters.span)
        let found = try predictor.predict(request(Self.rows))
        #expect(found.count == 1 && found[0].shape == [4, 3])
        #expect((0..<12).allSatisfy { found[0].values[$0] == expected[$0] })
        // More samples than are computed at once.
        let many = try predictor.predict(request((0..<50).flatMap { _ in Self.rows }))
        #expect(many[0].shape == [200, 3])
        #expect((0..<600).allSatisfy { abs(many[0].values[$0] - found[0].values[$0 % 12]) < 1e-6 })
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: NativePredictorTests.python)))
    func onnxruntimeGivesTheSameScores() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let bundle = try bundle()
        try Data(try bundle.content(.model)).write(to: directory.appending(path: "model.onnx"))
        let program = """
            import json, sys, numpy, onnxruntime
            session = onnxruntime.InferenceSession(sys.argv[1])
            rows = numpy.array(json.loads(sys.argv[2]), numpy.float32).reshape(-1, 4)
            print(json.dumps(session.run(["scores"], {"features": rows})[0].ravel().tolist()))
            """
        let rows = Self.rows.map { $0.isNaN ? "NaN" : "\($0)" }.joined(separator: ",")
        let result = try Process.result(
            Self.python, ["-c", program, directory.appending(path: "model.onnx").path, "[\(rows)]"])
        try #require(result.status == 0)
        let expected = try JSONDecoder().decode([Float].self, from: result.output)
        let found = try NativePredictor(bundle).predict(request(Self.rows))[0].values
        #expect(expected.count == 12)
        #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-6 })
    }

    @Test func wrongRequestsNameWhatIsExpected() throws {
        let predictor = try NativePredictor(try bundle())
        func tensor(_ name: String, _ shape: [Int], _ count: Int) -> NamedTensor {
            NamedTensor(name: name, shape: shape, values: .init(repeating: 0, count: count))
        }
        let wrong: [(String, [NamedTensor])] = [
            ("inputs", []), ("inputs", [tensor("features", [1, 4], 4), tensor("features", [1, 4], 4)]),
            ("name", [tensor("other", [1, 4], 4)]), ("shape", [tensor("features", [1, 3], 3)]),
            ("shape", [tensor("features", [4], 4)]), ("shape", [tensor("features", [0, 4], 0)]),
            ("shape", [tensor("features", [-1, 4], 4)]), ("shape", [tensor("features", [], 4)]),
            ("values", [tensor("features", [2, 4], 4)]), ("values", [tensor("features", [.max, 4], 4)]),
        ]
        for (what, request) in wrong {
            let error = #expect(throws: InputError.self) { try predictor.predict(request) }
            #expect(error?.description.contains(what) == true, "\(what): \(error?.description ?? "")")
        }
    }

    @Test func theSchemaOfAnOldBundleIsRead() throws {
        let old = """
            {"inputs":[{"branch":"a","fill":-0.25,"jagged":false,"offset":1,"scale":0.5,"width":1},
            {"branch":"b","fill":0.75,"jagged":true,"offset":0,"scale":0,"width":2},
            {"branch":"c","fill":0,"jagged":false,"offset":-2,"scale":3,"width":1}]}
            """
        let predictor = try NativePredictor(try bundle(json: old))
        #expect(predictor.features == ["a", "b[0]", "b[1]", "c"])
        let new = try NativePredictor(try bundle())
        #expect(try predictor.predict(request(Self.rows)) == (try new.predict(request(Self.rows))))
    }

    @Test func impossibleBundlesAreErrors() throws {
        func channel(_ width: Int) -> String {
            #"{"branch":"a","fill":0,"jagged":true,"offset":0,"scale":1,"width":\#(width)}"#
        }
        for json in [
            #"{"inputs":[\#(channel(9_000_000_000_000_000_000))]}"#, #"{"inputs":[\#(channel(-1))]}"#,
            #"{"inputs":[\#(channel(3))]}"#, #"{"inputs":[\#(channel(1 << 40)),\#(channel(1 << 40))]}"#, "{}", "",
            #"{"format":99,"inputs":[]}"#,
        ] { #expect(throws: InputError.self, "\(json)") { try NativePredictor(try bundle(json: json)) } }
        let whole = try bundle()
        let model = try whole.content(.model)
        let schema = try whole.content(.schema)
        for count in stride(from: 0, to: model.count, by: 7) {
            let cut = ModelBundle([.init(.model, Array(model.prefix(count))), .init(.schema, schema)])
            #expect(throws: InputError.self) { try NativePredictor(cut) }
        }
        for index in model.indices {
            var bytes = model
            bytes[index] ^= 0x41
            _ = try? NativePredictor(ModelBundle([.init(.model, bytes), .init(.schema, schema)]))
        }
    }

    @Test func layersOfANetworkSurviveTheExport() throws {
        let imported = try ONNXModel.load(try bundle().content(.model))
        let model = try NativeModel(inputs: 4, layers: Self.layers)
        #expect(imported.model.layers == Self.layers && imported.model.tensors == model.tensors)
        #expect(imported.parameters == parameters(model))
        let again = try ONNXModel.export(
            imported.model, parameters: imported.parameters, imported.normalisation,
            features: Self.schema.channels.map { ONNXModel.Feature($0) }, version: "test")
        #expect(again == (try bundle().content(.model)))
    }
}
