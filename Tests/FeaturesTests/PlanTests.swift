import Cluster
import Features
import Foundation
import Sampling
import Testing

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
