import Bytes
import Cluster
import Features
import Foundation
import Models
import Testing

/// A file that the exporter would not write is not served, however little differs.
@Suite struct ForeignModelTests {
    private static let layers: [JobDescription.Layer] = [
        .dense(units: 4, activation: .gelu), .layerNorm(epsilon: 1e-3), .dense(units: 1, activation: .sigmoid),
    ]

    private static func channels(_ names: [String], scale: Float = 1) -> [Channel] {
        names.map { Channel(branch: $0, width: 1, jagged: false, offset: 0.5, scale: scale, fill: 0.25) }
    }

    private static func onnx(_ schema: DataSchema = DataSchema(flat: channels(["a", "b"]))) throws -> [UInt8] {
        let model = try NativeModel(inputs: schema.flatWidth, layers: layers)
        return try model.export(model.initialParameters(seed: 3), schema: schema, version: "test")
    }

    /// A protobuf field with a length.
    private func field(_ number: Int, _ content: [UInt8]) -> [UInt8] {
        varint(number << 3 | 2) + varint(content.count) + content
    }

    /// A protobuf field with a number.
    private func field(_ number: Int, number value: Int) -> [UInt8] { varint(number << 3) + varint(value) }

    private func varint(_ value: Int) -> [UInt8] {
        value < 128 ? [UInt8(value)] : [UInt8(value & 127 | 128)] + varint(value >> 7)
    }

    private func text(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func rejection(_ bytes: [UInt8]) -> String? {
        do {
            _ = try ONNXModel.load(bytes)
            return nil
        } catch { return error.description }
    }

    /// Protobuf merges what is appended into what is there: an operator, a tensor, an input, a text.
    @Test func whatIsAddedIsForeign() throws {
        let bytes = try Self.onnx()
        #expect(rejection(bytes) == nil)
        let exp = field(1, text("scores")) + field(2, text("other")) + field(4, text("Exp"))
        let tensor = field(1, number: 1) + field(2, number: 1) + field(8, text("spare")) + field(9, [0, 0, 0, 0])
        for (what, added) in [
            ("operator", field(7, field(1, exp))), ("tensor", field(7, field(5, tensor))),
            ("input", field(7, field(11, field(1, text("more"))))),
            ("output", field(7, field(12, field(1, text("more"))))),
            ("graph's name", field(7, field(2, text("other")))),
            ("operators' version", field(8, field(1, text("custom")) + field(2, number: 1))),
            ("text", field(14, field(1, text("key")) + field(2, text("value")))),
            ("second list of layers", field(14, field(1, text("beamline.layers")) + field(2, text("[]")))),
            ("format", field(1, number: 9)), ("unknown part", field(20, text("functions"))),
            ("unknown part of the graph", field(7, field(15, text("sparse")))),
        ] {
            let found = rejection(bytes + added)
            #expect(found?.contains("ONNX") == true, "\(what): \(found ?? "is accepted")")
        }
    }

    /// Operators, attributes and constants of the same length.
    @Test func whatIsChangedIsForeign() throws {
        let bytes = try Self.onnx()
        func replacing(_ old: [UInt8], _ new: [UInt8]) throws -> [UInt8] {
            let start = try #require(
                bytes.indices.dropLast(old.count).first { bytes[$0..<$0 + old.count].elementsEqual(old) })
            return Array(bytes[..<start]) + new + Array(bytes[(start + old.count)...])
        }
        func little(_ value: Float) -> [UInt8] { withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) } }
        for (what, changed) in [
            ("operator", try replacing(text("\u{4}Gemm"), text("\u{4}Gems"))),
            ("attribute's name", try replacing(text("transB"), text("transA"))),
            (
                "attribute's value",
                try replacing(text("transB") + varint(3 << 3) + [1], text("transB") + varint(3 << 3) + [0])
            ),
            ("order of inputs", try replacing(text("shifted"), text("missing"))),
            ("constant of GELU", try replacing(little(Float(0.5).squareRoot()), little(0.75))),
            ("epsilon of the normalisation", try replacing(little(1e-3), little(2e-3))),
        ] { #expect(rejection(changed) != nil, "\(what) is accepted") }
    }

    /// Decoded, each of these parts would take a hundred times its two bytes.
    @Test func manyEmptyPartsAreNotDecoded() throws {
        let empty = field(7, [UInt8](repeating: 0, count: 2_000_000).indices.map { $0 % 2 == 0 ? 0x0A : 0 })
        #expect(rejection(empty)?.contains("too many parts") == true)
        let node = field(7, field(1, [UInt8](repeating: 0, count: 2_000_000).indices.map { $0 % 2 == 0 ? 0x2A : 0 }))
        #expect(rejection(node)?.contains("too many parts") == true)
    }

    @Test func theMostLayersOfAJobFileAreServed() throws {
        let count = JobDescription.Training.maxLayers - 1
        for layer in [JobDescription.Layer.layerNorm(epsilon: 1e-5), .dense(units: 2, activation: .gelu)] {
            let layers =
                [JobDescription.Layer](repeating: layer, count: count) + [.dense(units: 1, activation: .sigmoid)]
            let model = try NativeModel(inputs: 2, layers: layers)
            let schema = DataSchema(flat: Self.channels(["a", "b"]))
            let parameters = model.initialParameters(seed: 1)
            let imported = try ONNXModel.load(try model.export(parameters, schema: schema, version: "test"))
            #expect(imported.parameters == parameters)
        }
    }

    // MARK: The schema beside the model

    private func predictor(_ onnx: [UInt8], _ schema: DataSchema) throws -> NativePredictor {
        try NativePredictor(
            ModelBundle([.init(.model, onnx), .init(.schema, [UInt8](try JSONEncoder().encode(schema)))]))
    }

    @Test func theSchemaMustBeTheModels() throws {
        let schema = DataSchema(flat: Self.channels(["a", "b"]))
        let bytes = try Self.onnx(schema)
        #expect(try predictor(bytes, schema).features == ["a", "b"])
        func rejection(_ schema: DataSchema) -> String {
            let error = #expect(throws: InputError.self) { _ = try predictor(bytes, schema) }
            return error?.description ?? ""
        }
        #expect(rejection(DataSchema(flat: Self.channels(["b", "a"]))).contains("feature 1"))
        #expect(rejection(DataSchema(flat: Self.channels(["a", "c"]))).contains("feature 2"))
        #expect(rejection(DataSchema(flat: Self.channels(["a", "b"], scale: 2))).contains("normalises"))
        var wide = Self.channels(["a"])
        wide[0].width = 2
        #expect(rejection(DataSchema(flat: wide)).contains("feature 1"))
        var jagged = schema
        jagged.inputs[0].channels[1].jagged = true
        #expect(rejection(jagged).contains("feature 2"))
    }

    /// A file of an earlier version names no features; its normalisation is compared still.
    @Test func aModelWithoutNamesIsServed() throws {
        let schema = DataSchema(flat: Self.channels(["a", "b"]))
        let model = try NativeModel(inputs: 2, layers: Self.layers)
        let bytes = try ONNXModel.export(
            model, parameters: model.initialParameters(seed: 3), schema.inputs[0].normalisation, version: "old")
        #expect(try predictor(bytes, schema).features == ["a", "b"])
        let other = DataSchema(flat: Self.channels(["a", "b"], scale: 3))
        #expect(throws: InputError.self) { try predictor(bytes, other) }
    }

    /// Widths are compared with the model before anything is made of them.
    @Test func announcedWidthsAllocateNothing() throws {
        let bytes = try Self.onnx()
        let widest = Channel(branch: "w", width: 1 << 24, jagged: true, offset: 0.5, scale: 1, fill: 0.25)
        for count in [1, 1000] {
            var channels = [Channel](repeating: widest, count: count)
            for index in channels.indices { channels[index].branch += "\(index)" }
            #expect(throws: InputError.self) { try predictor(bytes, DataSchema(flat: channels)) }
        }
    }

    // MARK: Memory

    @Test func aWorkspaceHasNoGradients() throws {
        // Ten layers of 16 units: two buffers are enough, and the last one is copied to the scores.
        let layers = [JobDescription.Layer](repeating: .dense(units: 16, activation: .relu), count: 10)
        let schema = DataSchema(flat: Self.channels((0..<16).map { "b\($0)" }))
        let model = try NativeModel(inputs: 16, layers: layers)
        let bytes = try model.export(model.initialParameters(seed: 1), schema: schema, version: "test")
        let footprint = try predictor(bytes, schema).footprint
        let (line, batch) = (16, 64)
        // Two buffers, the scores, the normalised rows, and one packed matrix.
        #expect(footprint.workspace == 4 * (batch * (2 * line + 16 + 16) + 16 * 16))
        #expect(footprint.calls == 1 && footprint.total == footprint.resident + footprint.workspace)
        #expect(footprint.resident >= 4 * (10 * 17 * 16 + 3 * 16))
    }

    @Test func aModelWithoutRoomIsNotLoaded() throws {
        let schema = DataSchema(flat: Self.channels(["a", "b"]))
        let bundle = ModelBundle([
            .init(.model, try Self.onnx(schema)), .init(.schema, [UInt8](try JSONEncoder().encode(schema))),
        ])
        let error = #expect(throws: InputError.self) {
            _ = try NativePredictor(bundle, calls: 3) { (footprint) throws(InputError) in
                #expect(footprint.calls == 3 && footprint.total == footprint.resident + 3 * footprint.workspace)
                throw InputError(.denied, "no room")
            }
        }
        #expect(error?.code == .denied)
    }

    @Test func aLargeAnswerIsRejected() throws {
        let schema = DataSchema(flat: Self.channels(["a"]))
        let model = try NativeModel(inputs: 1, layers: [.dense(units: 1 << 16, activation: .linear)])
        let bytes = try model.export(
            [Float](repeating: 0, count: model.tensors.parameterCount), schema: schema, version: "test")
        let predictor = try predictor(bytes, schema)
        // No room for the way back, whose packed matrix is 16 times as large.
        #expect(predictor.footprint.workspace < 9 << 20)
        func scores(_ samples: Int) throws -> Int {
            let tensor = NamedTensor(
                name: "features", shape: [samples, 1], values: .init(repeating: 0, count: samples))
            return try predictor.predict([tensor])[0].values.count
        }
        #expect(try scores(256) == NativePredictor.maxAnswerValues)
        let error = #expect(throws: InputError.self) { try scores(257) }
        #expect(error?.code == .limit)
    }

    @Test func aModelThatNoNodeTakesIsNotTrained() throws {
        var training = JobDescription.Training()
        training.layers = [.dense(units: 1 << 15, activation: .relu), .dense(units: 1, activation: .sigmoid)]
        let plan = TrainingPlan(training, seed: 1)
        try plan.checkServable(DataSchema(flat: Self.channels(["a", "b"])))
        var wide = Self.channels(["a"])
        (wide[0].width, wide[0].jagged) = (1 << 13, true)
        let error = #expect(throws: InputError.self) { try plan.checkServable(DataSchema(flat: wide)) }
        #expect(error?.code == .limit)
    }
}
