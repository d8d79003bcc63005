import Bytes
import Cluster
import Features
import Foundation
import Sampling
import Testing

@Suite struct DataSchemaTests {
    private let channel = Channel(branch: "x", width: 1, jagged: true, offset: 0, scale: 1, fill: 0)

    private func decode(_ json: String) throws -> DataSchema {
        try JSONDecoder().decode(DataSchema.self, from: Data(json.utf8))
    }

    /// What bundles and manifests held before there were several inputs.
    @Test func theFirstFormatIsRead() throws {
        let schema = try decode(
            #"{"inputs":[{"branch":"pt","fill":0.5,"jagged":false,"offset":1,"scale":2,"width":1},"#
                + #"{"branch":"jets","fill":0,"jagged":true,"offset":0,"scale":0,"width":2}]}"#)
        #expect(
            schema
                == DataSchema(flat: [
                    Channel(branch: "pt", width: 1, jagged: false, offset: 1, scale: 2, fill: 0.5),
                    Channel(branch: "jets", width: 2, jagged: true, offset: 0, scale: 0, fill: 0),
                ]))
        #expect(schema.names == ["pt", "jets[0]", "jets[1]"] && schema.constants == ["jets"] && schema.flatWidth == 3)
        #expect(schema.inputs[0].normalisation.scale == [2, 0, 0])
    }

    @Test func allKindsComeBack() throws {
        let grid = ImageGrid(height: 4, width: 5, xMin: 0, xMax: 1, yMin: -1, yMax: 2)
        let schema = DataSchema(inputs: [
            InputSchema(name: "a", kind: .flat, channels: [channel]),
            InputSchema(name: "b", kind: .sequence(length: 3), channels: [channel]),
            InputSchema(name: "c", kind: .sequence(length: nil), channels: [channel]),
            InputSchema(name: "d", kind: .image(grid), channels: [channel, channel, channel]),
        ])
        try schema.validate()
        let json = try JSONEncoder().encode(schema)
        #expect(try JSONDecoder().decode(DataSchema.self, from: json) == schema)
        #expect(try decode(#"{"format":2,"inputs":[{"name":"n","channels":[{"branch":"b"}]}]}"#).flatWidth == 1)
    }

    @Test func aNewerFormatIsNamed() {
        let error = #expect(throws: DecodingError.self) { try decode(#"{"format":99,"inputs":[]}"#) }
        #expect(error.map { "\($0)" }?.contains("newer version") == true)
    }

    @Test func impossibleSchemasAreRejected() {
        let single = Channel(branch: "y", width: 1, jagged: false, offset: 0, scale: 1, fill: 0)
        func grid(_ height: Int, _ xMax: Double) -> InputKind {
            .image(ImageGrid(height: height, width: 1 << 13, xMin: 0, xMax: xMax, yMin: 0, yMax: 1))
        }
        let wrong: [[InputSchema]] = [
            [.init(name: "a", kind: .flat, channels: [channel]), .init(name: "a", kind: .flat, channels: [single])],
            [.init(name: "a", kind: .flat, channels: [channel, channel])],
            [
                .init(
                    name: "a", kind: .flat,
                    channels: [Channel(branch: "x", width: 0, jagged: true, offset: 0, scale: 1, fill: 0)])
            ],
            [.init(name: "a", kind: .sequence(length: 0), channels: [channel])],
            [.init(name: "a", kind: .sequence(length: nil), channels: [single])],
            [.init(name: "a", kind: .sequence(length: nil), channels: [])],
            [.init(name: "a", kind: grid(1, 1), channels: [channel, channel])],
            [.init(name: "a", kind: grid(1 << 12, 1), channels: [channel, channel, channel])],
            [.init(name: "a", kind: grid(0, 1), channels: [channel, channel, channel])],
            [.init(name: "a", kind: grid(1, 0), channels: [channel, channel, channel])],
            [.init(name: "a", kind: grid(1, .nan), channels: [channel, channel, channel])],
        ]
        for inputs in wrong {
            #expect(throws: InputError.self) { try DataSchema(inputs: inputs).validate() }
        }
    }
}

@Suite struct PlanTests {
    /// A manifest as the version before wrote it, which held both plans.
    static let combined = #"""
        {"blocks":[{"dataset":0,"end":10,"first":0,"input":0,"label":0,"rows":[6,2,2]}],
         "inputs":[{"file":{"sites":[],"urls":["root://h//a.root"]},"identity":"id","tree":"t","verify":false}],
         "labelBranch":"y","lanes":[[{"block":0,"rows":[[0,3],[0,1],[0,1]]}],[{"block":0,"rows":[[3,6],[1,2],[1,2]]}]],
         "schema":{"inputs":[{"branch":"x","fill":0.5,"jagged":false,"offset":1,"scale":2,"width":1}]},
         "split":{"seed":7,"test":0.2,"train":0.64,"validation":0.16},
         "training":{"batch":4,"epochs":3,"lanes":2,"layers":[{"dense":{"activation":"sigmoid","units":1}}],
          "loss":"binary_crossentropy","optimizer":{"sgd":{"learningRate":0.5}}}}
        """#

    @Test func aCombinedManifestIsTakenApart() throws {
        let file = FileReplicas("root://h//a.root")
        let input = String(
            decoding: try JSONEncoder().encode(InputTree(file, tree: "t", identity: "id")), as: UTF8.self)
        // The file's own JSON is not this test's: it is written as today's code writes it.
        let start = try #require(Self.combined.range(of: #"[{"file""#)?.lowerBound)
        let end = try #require(Self.combined.range(of: #""verify":false}]"#)?.upperBound)
        let json = Self.combined.replacingCharacters(in: start..<end, with: "[\(input)]")
        let manifest = try JSONDecoder().decode(CombinedManifest.self, from: Data(json.utf8))
        #expect(manifest.dataPlan.labelBranch == "y" && manifest.dataPlan.inputs.map(\.identity) == ["id"])
        #expect(manifest.dataPlan.blocks[0].rows == PartTable(train: 6, validation: 2, test: 2))
        #expect(manifest.dataPlan.lanes[1][0].rows.train == 3..<6)
        let training = manifest.trainingPlan
        #expect((training.batch, training.epochs, training.seed, training.exactness) == (4, 3, 7, .job))
        #expect(training.layers == [.dense(units: 1, activation: .sigmoid)] && training.classes == 2)
        #expect(manifest.dataPlan.schedule(training).stepsPerEpoch == 2)
        // Each plan comes back from its own document.
        let data = try JSONEncoder().encode(manifest.dataPlan)
        #expect(try JSONDecoder().decode(DataPlan.self, from: data) == manifest.dataPlan)
        let plan = try JSONEncoder().encode(training)
        #expect(try JSONDecoder().decode(TrainingPlan.self, from: plan) == training)
    }

    @Test func newerPlansAreNamed() throws {
        for json in [#"{"format":9,"layers":[],"seed":1}"#] {
            let error = #expect(throws: DecodingError.self) {
                try JSONDecoder().decode(TrainingPlan.self, from: Data(json.utf8))
            }
            #expect(error.map { "\($0)" }?.contains("newer version") == true)
        }
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(DataPlan.self, from: Data(#"{"format":9}"#.utf8))
        }
    }
}
