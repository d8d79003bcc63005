import Bytes
import Cluster
import Features
import Foundation
import Models
import Specs
import Testing
import Wire

/// Documents that earlier versions wrote are read for ever, with the values that they had then.
@Suite struct GoldenDocumentTests {
    @Test func aJobDescriptionWithEveryOption() throws {
        let job = try Golden.value(JobDescription.self, "job-description.json")
        var expected = JobDescription(
            name: "every option",
            datasets: [
                .init(
                    name: "a", label: 2, tree: "events",
                    files: ["root://one.example//store/a/*.root", "lfn:/store/b.root"]),
                .init(name: "b", label: 0, tree: "other", files: ["davs://two.example/c.root"]),
            ])
        expected.labelBranch = "kind"
        expected.branches.keep = ["x*", "Jet_?"]
        expected.branches.drop = ["gen_w"]
        expected.branches.identifiers = ["run", "event"]
        expected.features.pad = [.init(pattern: "Jet_*", items: 4), .init(pattern: "*", items: 6)]
        expected.features.padding = .value(-9.5)
        expected.chunkEvents = 12345
        (expected.split.train, expected.split.validation, expected.split.test) = (0.7, 0.1, 0.2)
        expected.split.seed = 7
        (expected.onError, expected.verify, expected.priority, expected.maxWorkers) = (.skip, .adler32, 3, 5)
        var training = JobDescription.Training()
        (training.lanes, training.batch, training.epochs) = (6, 60, 9)
        training.loss = .categorical
        var adam = JobDescription.AdaptiveMoments(learningRate: 0.002)
        (adam.beta1, adam.beta2, adam.epsilon) = (0.8, 0.9, 0.0001)
        training.optimizer = .adam(adam)
        training.layers = [
            .dense(units: 12, activation: .tanh), .dropout(rate: 0.25), .dense(units: 3, activation: .softmax),
        ]
        expected.train = training
        expected.publish = .init(model: "golden", nodes: ["http://localhost:1"])
        #expect(job == expected)
        // What is written now is read again.
        #expect(try JSONDecoder().decode(JobDescription.self, from: JSONEncoder().encode(job)) == job)
    }

    @Test func whatIsMissingHasItsDefault() throws {
        let text = #"{"name": "n", "datasets": [{"name": "d", "tree": "t", "files": ["f"]}], "train": {"layers": []}}"#
        let job = try JSONDecoder().decode(JobDescription.self, from: Data(text.utf8))
        var expected = JobDescription(name: "n", datasets: [.init(name: "d", label: nil, tree: "t", files: ["f"])])
        expected.train = JobDescription.Training()
        #expect(job == expected)
        let status = try JSONDecoder().decode(
            JobStatus.self, from: Data(#"{"id": 3, "name": "n", "stage": "train"}"#.utf8))
        #expect(status == JobStatus(id: JobID(3), name: "n", stage: .train))
        #expect(try JSONDecoder().decode(EvaluationReport.self, from: Data("{}".utf8)) == EvaluationReport())
        let output =
            #"{"outputs": [{}], "train": {}, "test": {"histograms": [{}], "metrics": {"events": 2, "loss": 1}}}"#
        let report = try JSONDecoder().decode(EvaluationReport.self, from: Data(output.utf8))
        #expect(report.outputs == [OutputReport()] && report.test.histograms == [.init(own: [], others: [])])
        #expect(report.test.metrics == PartMetrics(events: 2, loss: 1, auc: nil, accuracy: nil))
        let catalog = try JSONDecoder().decode(SiteCatalog.self, from: Data(#"{"limits": {"readsMost": 3}}"#.utf8))
        #expect(catalog.limits.maxReads == 3 && catalog.limits.openSeconds == SiteLimits().openSeconds)
    }

    @Test(arguments: ["job-description.json", "survey.json", "run.json"])
    func aNewerDocumentIsNamed(name: String) throws {
        let newer = try Golden.changed(name, "format", to: 99)
        func decode() throws {
            switch name {
            case "survey.json": _ = try JSONDecoder().decode(Survey.self, from: newer)
            case "run.json": _ = try JSONDecoder().decode(RunRecord.self, from: newer)
            default: _ = try JSONDecoder().decode(JobDescription.self, from: newer)
            }
        }
        let error = #expect(throws: NewerFormat.self) { try decode() }
        #expect(error?.format == 99 && error?.newest == 1)
        #expect(error?.description.contains("format 99") == true)
        // Any other key of a newer version is passed over.
        let unknown = try Golden.changed("run.json", "unknown", to: [1])
        #expect(try JSONDecoder().decode(RunRecord.self, from: unknown) == Golden.value(RunRecord.self, "run.json"))
    }

    @Test func surveysStatusesAndRecords() throws {
        let survey = try Golden.value(Survey.self, "survey.json")
        #expect(survey.identity == "25f440897da25b4f938bd0c56ea5100e" && survey.bytes == 365_202)
        #expect(survey.entries == 6000 && survey.boundaries == [0, 6000] && survey.clusters.count == 7)
        let branches = try Golden.value([SurveyedBranch].self, "branches.json")
        #expect(branches.map(\.name) == ["x0", "x1", "x2", "x3", "constant", "event", "nJet", "Jet_pt", "Jet_eta"])
        #expect(branches[0].fixedValues == 1 && branches[7].fixedValues == nil && branches[5].type == "uint64")
        let run = try Golden.value(RunRecord.self, "run.json")
        #expect(run.job == JobID(1) && run.name == "golden" && run.version == "0.1.0")
        #expect(run.members.map(\.name) == ["w1"] && run.members[0].lastRound == RoundNumber(1))
        #expect(run.members[0].instructionSet == "Haswell")
        #expect(try JSONDecoder().decode(RunRecord.self, from: JSONEncoder().encode(run)) == run)
        let status = try Golden.value(JobStatus.self, "job-status.json")
        #expect(status.stage == .done && status.isFinal && status.entries == 12000 && status.metrics.count == 6)
        #expect(status.test?.events == 2465 && status.test?.classAUC == nil && status.evaluation == nil)
        #expect(status.stages.map(\.stage) == [.list, .survey, .specs, .train, .evaluate, .done])
        let workers = try Golden.value([WorkerStatus].self, "workers.json")
        #expect(workers.map(\.state) == [.working] && workers[0].id == WorkerID(2))
        #expect(try Golden.value([SiteStatus].self, "sites.json").isEmpty)
    }

    /// The keys and the spelling of the published interface stay.
    @Test func statusesAreWrittenAsTheyWere() throws {
        for (name, coded) in [
            ("job-status.json", try JSONEncoder().encode(Golden.value(JobStatus.self, "job-status.json"))),
            ("workers.json", try JSONEncoder().encode(Golden.value([WorkerStatus].self, "workers.json"))),
        ] {
            let before = try Self.withoutKernels(JSONSerialization.jsonObject(with: Golden.data(name)))
            #expect(try Self.withoutKernels(JSONSerialization.jsonObject(with: coded)) == before, "\(name)")
        }
        var quarantined = WorkerStatus(id: WorkerID(1), name: "w", state: .quarantined)
        quarantined.reason = "slow"
        // Old spelling, in the published interface.
        let state = #""state":"set aside""#
        #expect(String(decoding: try JSONEncoder().encode(quarantined), as: UTF8.self).contains(state))
    }

    /// Workers had kernel types of OpenBLAS, and have instruction sets.
    private static func withoutKernels(_ document: Any) throws -> NSObject {
        func strip(_ object: Any) -> Any {
            guard var fields = object as? [String: Any] else { return object }
            fields["kernels"] = nil
            fields["instructionSet"] = nil
            return fields
        }
        guard let list = document as? [Any] else { return try #require(strip(document) as? NSObject) }
        let stripped: Any = list.map(strip)
        return try #require(stripped as? NSObject)
    }

    @Test func specs() throws {
        let (specs, rows) = ([UInt8](try Golden.data("specs.bin")), [UInt8](try Golden.data("block-rows.bin")))
        let folded = try FoldedSpecs(specsBytes: specs, rowBytes: rows)
        #expect(folded.whole.rows == 6000 && folded.whole.branches.count == 8 && folded.blockRows.count == 1)
        // The bytes that are written now begin with their format; the content is the same.
        let now = folded.specsBytes
        #expect(try FoldedSpecs(specsBytes: now, rowBytes: folded.rowBytes) == folded && folded.rowBytes == rows)
        #expect(Array(now.dropFirst(8)) == specs)
        var newer = now
        newer[7] += 1
        let error = #expect(throws: InputError.self) { try SpecsCoding.decode(newer) }
        #expect(error?.code == .unsupported && error?.found == "\(SpecsCoding.currentFormat + 1)")
    }

    @Test func aManifestIsTwoPlans() throws {
        let manifest = try Golden.value(CombinedManifest.self, "manifest.json")
        #expect(manifest.dataPlan.lanes.count == 4 && manifest.dataPlan.inputs.count == 2)
        #expect(manifest.trainingPlan.batch == 8 && manifest.trainingPlan.epochs == 6)
        #expect(manifest.trainingPlan.layers.count == 3 && manifest.trainingPlan.seed == 42)
    }

    @Test func aBundle() throws {
        let bundle = try ModelBundle.decode([UInt8](try Golden.data("bundle.tar")))
        #expect(
            bundle.documents.map(\.name) == ["model.onnx", "schema.json", "specs.json", "metrics.json", "lineage.json"])
        let schema = try JSONDecoder().decode(DataSchema.self, from: Data(try bundle.content(.schema)))
        #expect(schema.constants == ["constant"])
        // It is served still.
        #expect(try NativePredictor(bundle).features == schema.names)
    }

    /// Of the job that was interrupted after its second epoch.
    @Test func aCheckpoint() throws {
        let manifest = try Golden.value(CombinedManifest.self, "manifest.json")
        let model = try manifest.trainingPlan.model(manifest.dataPlan.schema)
        let state = try Checkpoint.decode(
            [UInt8](try Golden.data("checkpoint.bin")), tensors: model.tensors,
            manifest.trainingPlan.optimizer.implementation)
        #expect(state.step == 1906 && state.parameters.allSatisfy(\.isFinite))
        #expect(state.parameters.count == model.tensors.reduce(0) { $0 + $1.shape.reduce(1, *) })
    }
}
