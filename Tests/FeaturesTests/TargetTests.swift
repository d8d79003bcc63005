import Bytes
import Cluster
import Columns
import Features
import Foundation
import Sampling
import Specs
import Testing

/// The target of a regression: its normalisation from the specs, and its values from a branch.
@Suite struct TargetTests {
    private func flat<Value: NativeValue>(_ values: [Value]) -> Column {
        let buffer = AlignedBuffer(capacity: values.count * 8)
        _ = buffer.values(of: Value.self, count: values.count).update(fromContentsOf: values)
        return Column(
            type: Value.type, shape: .flat, entries: values.count, count: values.count, values: buffer, offsets: [])
    }

    private func read<Value: NativeValue>(_ values: [Value], _ entries: [Int]) throws(InputError) -> [Float] {
        try TargetReader.targets(
            flat(values), entries, branch: "y", first: 1000,
            file: FileReplicas(["root://host//store/a.root"], logicalName: "/store/a.root"))
    }

    @Test func eachTypeIsRead() throws {
        #expect(try read([1.5, 2.5, -3e38], [0, 2]) == [1.5, -3e38])
        #expect(try read([Float(0.1)], [0]) == [0.1] && read([UInt64.max], [0]) == [0x1p64])
        #expect(try read([Int8(-5), 7], [1, 0]) == [7, -5] && read([NativeBool(byte: 1)], [0]) == [1])
    }

    @Test func whatIsNotFiniteNamesItsFileAndEntry() {
        for wrong in [Double.nan, .infinity, 1e39, -1e300] {
            let error = #expect(throws: InputError.self) { try read([1, 2, wrong, wrong], [0, 2, 3]) }
            let text = error?.description ?? ""
            #expect(
                text.contains("/store/a.root") && !text.contains("host") && text.contains("y, entry 1002"), "\(text)")
            #expect(error?.code == .input)
        }
        let jagged = Column(
            type: .float32, shape: .jagged(), entries: 0, count: 0, values: AlignedBuffer(capacity: 8),
            offsets: [.init(buffer: AlignedBuffer(capacity: 8), count: 1)])
        #expect(throws: InputError.self) {
            try TargetReader.targets(jagged, [], branch: "y", first: 0, file: FileReplicas("a"))
        }
    }

    private func statistics(_ values: [Double], nonfinite: Int64 = 0) -> BranchStatistics {
        var result = BranchStatistics()
        (result.values, result.nonfinite) = (Int64(values.count), nonfinite)
        (result.min, result.max) = (values.min() ?? 0, values.max() ?? 0)
        result.mean = values.reduce(0, +) / Double(max(1, values.count))
        result.squares = values.reduce(0) { $0 + ($1 - result.mean) * ($1 - result.mean) }
        result.multiplicity = 1
        return result
    }

    private func branch(_ name: String, _ fixed: Int? = 1) -> SurveyedBranch {
        SurveyedBranch(name: name, type: "double", fixedValues: fixed, itemValues: 1, unsupported: nil)
    }

    @Test func theNormalisationIsThatOfTheTrainingPart() throws {
        var target = JobDescription.Target(branch: "y")
        let values = [1.0, 2, 3, 6]
        let schema = try TargetPlanner.plan(target, branch: branch("y"), statistics: statistics(values))
        #expect(schema.offset == 3 && schema.scale == Float(1 / 3.5.squareRoot()) && schema.mean == 3)
        #expect((schema.min, schema.max, schema.deviation) == (1, 6, 3.5.squareRoot()))
        #expect(abs(schema.prediction(schema.normalised(2.75)) - 2.75) < 1e-6)
        target.normalise = .none
        let plain = try TargetPlanner.plan(target, branch: branch("y"), statistics: statistics(values))
        #expect((plain.offset, plain.scale, plain.mean) == (0, 1, 3))
        // A value beyond Float32 is found, with its file and its entry, by whoever reads it.
        _ = try TargetPlanner.plan(target, branch: branch("y"), statistics: statistics([1, 1e300]))
    }

    @Test func whatCannotBeLearntIsAnErrorBeforeTheTraining() {
        for (fixed, values, normalise, message) in [
            (1, [4.0, 4, 4], .standard, "constant"), (1, [], .standard, "no finite value"),
            (3, [1, 2], .standard, "3 values"), (nil, [1, 2], .standard, "any number of values"),
            (1, [1e-42, 2e-42], .standard, "deviation"), (1, [1.6e9 - 20, 1.6e9 + 20], .none, "close together"),
            (1, [1e-9, 3e-9], .none, "too small"),
        ] as [(Int?, [Double], JobDescription.Target.Normalise, String)] {
            var target = JobDescription.Target(branch: "y")
            target.normalise = normalise
            let error = #expect(throws: InputError.self, "\(message)") {
                try TargetPlanner.plan(
                    target, branch: branch("y", fixed), statistics: statistics(values, nonfinite: 2))
            }
            #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
        }
    }

    @Test func theTargetIsNoFeature() throws {
        var job = JobDescription(name: "j", datasets: [.init(name: "d", label: nil, tree: "t", files: ["f"])])
        job.target = .init(branch: "y")
        var training = JobDescription.Training()
        training.layers = [.dense(units: 1, activation: .linear)]
        training.loss = .mse
        training.batch = 2
        let block = TrainingBlock(
            dataset: 0, label: 0, input: 0, first: 0, end: 4, rows: PartTable(train: 4, validation: 0, test: 0))
        func plan() throws(InputError) -> (plan: DataPlan, notes: [String]) {
            try DataPlanner(
                job: job, branches: ["x", "y"],
                trainingSpecs: PartialSpecs(rows: 4, branches: [statistics([0, 1, 2, 3]), statistics([5, 6, 7, 8])]),
                surveyed: ["x": branch("x"), "y": branch("y")],
                inputs: [InputTree(FileReplicas("f"), tree: "t", identity: "i")], blocks: [block]
            ).plan(for: TrainingPlan(training, seed: 1), lanes: 2)
        }
        let (made, notes) = try plan()
        #expect(made.schema.names == ["x"] && made.schema.target?.branch == "y" && made.labelBranch == nil)
        #expect(notes == ["y is the target, and so no feature"])
        // With no classes there is one: each lane has half of it.
        #expect(made.lanes.map { $0.reduce(0) { $0 + $1.rows.train.count } } == [2, 2])
        let data = try JSONEncoder().encode(made)
        #expect(try JSONDecoder().decode(DataPlan.self, from: data) == made)
        job.branches.drop = ["y"]
        #expect(try plan().notes.isEmpty)
    }

    @Test func samplesHaveTheirTargetInTheFilesUnits() throws {
        let channel = Channel(branch: "x", width: 1, jagged: false, offset: 1, scale: 2, fill: 0)
        var schema = DataSchema(flat: [channel])
        schema.target = TargetSchema(
            branch: "y", offset: 10, scale: 0.5, mean: 10, deviation: 2, min: 5, max: 15)
        let columns = ColumnBatch(first: 0, entries: 3, names: ["x"], columns: [flat([Float(1), 2, 3])])
        let store = try EventStore(
            schema, columns, entries: PartTable(train: [0, 2], validation: [], test: [1]),
            labels: PartTable(train: [0, 0], validation: [], test: [0]),
            targets: PartTable(train: [7, 9], validation: [], test: [8]))
        var batch = Batch(schema)
        BatchAssembler(schema).assemble([Sample(store[.train], 1), Sample(store[.test], 0)], into: &batch)
        #expect(batch.targets == [9, 8] && Array(batch.inputs[0].values) == [4, 2])
        schema.target = nil
        BatchAssembler(schema).assemble([Sample(store[.train], 1)], into: &batch)
        #expect(batch.targets.isEmpty && batch.labels == [0])
    }

    @Test func aSchemaWithAWrongTargetIsAnError() throws {
        let right = TargetSchema(branch: "y", offset: 0, scale: 1, mean: 0, deviation: 1, min: 0, max: 1)
        let channel = Channel(branch: "x", width: 1, jagged: false, offset: 1, scale: 2, fill: 0)
        func validate(_ change: (inout TargetSchema) -> Void) throws {
            var (schema, target) = (DataSchema(flat: [channel]), right)
            change(&target)
            schema.target = target
            try schema.validate()
        }
        try validate { _ in }
        for change in [
            { $0.scale = 0 }, { $0.scale = .infinity }, { $0.offset = .nan }, { $0.deviation = 0 },
            { $0.max = 0 }, { $0.mean = .infinity }, { $0.deviation = 1e200 },
        ] as [(inout TargetSchema) -> Void] {
            #expect(throws: InputError.self) { try validate(change) }
        }
    }
}
