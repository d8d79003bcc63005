import Bytes
import Cluster
import Features
import Sampling
import Specs
import Testing

@Suite struct SampleCheckTests {
    private static let job = JobDescription(
        name: "j",
        datasets: [
            .init(name: "sig", label: 1, tree: "t", files: ["a"]),
            .init(name: "bkg", label: 0, tree: "t", files: ["b"]),
            .init(name: "more", label: 0, tree: "t", files: ["c"]),
        ])

    private static func block(
        _ dataset: Int, _ label: Int, _ train: Int, _ validation: Int, _ test: Int
    )
        -> TrainingBlock
    {
        TrainingBlock(
            dataset: dataset, label: label, input: dataset, first: 0, end: Int64(train + validation + test),
            rows: PartTable(train: train, validation: validation, test: test))
    }

    private static let whole = [block(0, 1, 10, 2, 2), block(1, 0, 20, 4, 4), block(2, 0, 6, 1, 1)]

    private func check(_ blocks: [TrainingBlock]) -> SampleCheck {
        SampleCheck(Self.job, blocks, labelStatistics: nil)
    }

    @Test func aLabelBranchOfOneValueEndsTheTraining() throws {
        var job = Self.job
        job.labelBranch = "isSignal"
        var labels = BranchStatistics()
        (labels.values, labels.min, labels.max, labels.mean) = (36, 1, 1, 1)
        func notes() throws(InputError) -> [String] {
            try SampleCheck(job, Self.whole, labelStatistics: labels).notes(lanes: 8, batch: 10)
        }
        let error = #expect(throws: InputError.self) { try notes() }
        #expect(error?.object == "isSignal" && error?.found == "1.0", "\(error?.description ?? "")")
        labels.min = 0
        #expect(try notes() == [])
    }

    @Test func whatIsThereNeedsNoNote() throws {
        #expect(try check(Self.whole).notes(lanes: 8, batch: 36) == [])
    }

    @Test func aClassWithoutEventsEndsTheTrainingBeforeItBegins() {
        let error = #expect(throws: InputError.self) {
            try check([Self.block(0, 1, 0, 2, 2)] + Self.whole.dropFirst()).notes(lanes: 8, batch: 10)
        }
        #expect(error?.description.contains("class 1 (sig)") == true, "\(error?.description ?? "")")
    }

    @Test func aPartWithoutAClassIsNoted() throws {
        let notes = try check([Self.block(0, 1, 10, 0, 2)] + Self.whole.dropFirst())
            .notes(lanes: 8, batch: 10)
        #expect(notes == ["class 1 (sig) has no event in the validation part: its AUC there is undefined"])
        // Where nobody is in a part, no class is missed there.
        let none = [Self.block(0, 1, 10, 0, 2), Self.block(1, 0, 20, 0, 4), Self.block(2, 0, 6, 0, 1)]
        #expect(try check(none).notes(lanes: 8, batch: 10) == [])
    }

    @Test func anEmptyDatasetAndALargeBatchAreNoted() throws {
        let notes = try check(Array(Self.whole.dropLast())).notes(lanes: 8, batch: 31)
        #expect(
            notes == [
                "the dataset more has no events",
                "the batch of 31 is larger than the training part of 30 samples: an epoch is one step",
            ])
    }

    @Test func lanesWithoutSamplesAreRejected() {
        let error = #expect(throws: InputError.self) {
            try check(Self.whole).notes(lanes: 37, batch: 10)
        }
        #expect(error?.description.contains("Set train: lanes to 36") == true, "\(error?.description ?? "")")
    }
}
