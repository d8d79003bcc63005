import Bytes
import Cluster
import Features
import Foundation
import Specs
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

    /// Without making the names, and for all of `names` that are equal.
    @Test func sharedNamesAreFound() {
        func channel(_ branch: String, _ width: Int, jagged: Bool = false) -> Channel {
            Channel(branch: branch, width: width, jagged: jagged, offset: 0, scale: 1, fill: 0)
        }
        for (channels, shared) in [
            ([channel("a", 1), channel("b", 1)], nil), ([channel("a", 1), channel("a", 1)], "a"),
            ([channel("a", 1), channel("a", 2)], nil), ([channel("a", 2), channel("a", 3)], "a[0]"),
            ([channel("a[0]", 1), channel("a", 1, jagged: true)], "a[0]"),
            ([channel("a[2]", 1), channel("a", 3)], "a[2]"), ([channel("a[3]", 1), channel("a", 3)], nil),
            ([channel("a[03]", 1), channel("a", 4)], nil),
            ([channel("a[-1]", 1), channel("a[]", 1), channel("a", 4)], nil),
            ([channel("a[1][0]", 1), channel("a[1]", 2)], "a[1][0]"), ([channel("]", 1), channel("", 2)], nil),
            ([channel("[1]", 1), channel("", 2)], "[1]"),
        ] as [([Channel], String?)] {
            let schema = DataSchema(flat: channels)
            #expect(schema.sharedName == shared, "\(channels.map(\.branch))")
            #expect((Set(schema.names).count < schema.names.count) == (shared != nil), "\(schema.names)")
        }
        // 16 million names each: nothing is made of them.
        #expect(DataSchema(flat: [channel("a", 1 << 24), channel("b", 1 << 24)]).sharedName == nil)
    }

    /// What would fail at publishing fails before anything is trained.
    @Test func aPlanHasNoSharedNames() throws {
        var statistics = BranchStatistics()
        (statistics.values, statistics.multiplicity, statistics.max, statistics.squares) = (10, 2, 1, 1)
        let jagged = SurveyedBranch(name: "a", type: "float", fixedValues: nil, itemValues: 1, unsupported: nil)
        var flat = SurveyedBranch(name: "a[0]", type: "float", fixedValues: 1, itemValues: 1, unsupported: nil)
        let settings = JobDescription.Features()
        let error = #expect(throws: InputError.self) {
            try FeaturePlanner.plan(settings, branches: [flat, jagged], specs: [statistics, statistics])
        }
        #expect(error?.code == .input && error?.description.contains("a[0] and a") == true)
        flat.name = "a[2]"
        _ = try FeaturePlanner.plan(settings, branches: [flat, jagged], specs: [statistics, statistics])
    }
}
