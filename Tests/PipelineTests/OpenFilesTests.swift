import Bytes
import Cluster
import Foundation
import Pipeline
import TestKit
import Testing

/// Files that a worker keeps open: what is found again, what is opened again, and what is not opened at all.
@Suite struct OpenFilesTests {
    /// A file of the sample, and another one of the same name and tree with other events.
    private struct Sample {
        let folder = FileManager.default.temporaryDirectory.appending(path: "beamline-open-\(UUID().uuidString)")
        var file: String { folder.appending(path: "1/tth/tth_1.root").path }
        var other: String { folder.appending(path: "2/tth/tth_1.root").path }

        init() throws {
            let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardizedFileURL
            for seed in ["1", "2"] {
                let made = try Process.result(
                    root.appending(path: ".build-python/bin/python").path,
                    [
                        root.appending(path: "scripts/make-sample").path, folder.appending(path: seed).path, "--events",
                        "900", "--seed", seed,
                    ])
                try #require(made.status == 0)
            }
        }

        func remove() { try? FileManager.default.removeItem(at: folder) }

        /// Another file under the first one's name; who has the old one open keeps it.
        func replace() throws {
            try #require(rename(other, file) == 0)
        }

        func reader() -> BlockReader { BlockReader(ReadResources(threads: 1), localRoots: [folder.path]) }

        func survey(_ reader: BlockReader) throws -> Survey {
            try reader.survey(FileReplicas(file), tree: "events", verify: false)
        }

        func specs(_ reader: BlockReader, _ survey: Survey, branches: [String] = ["feat0", "nJet"]) throws -> [UInt8] {
            try reader.specs(
                ChunkTask(
                    InputTree(
                        FileReplicas([file], size: survey.bytes), tree: "events", identity: survey.identity,
                        version: survey.version),
                    boundaries: survey.boundaries), ChunkPlan(branches: branches, split: .init())
            ).specs
        }
    }

    private func withSample(_ body: (Sample) throws -> Void) throws {
        let sample = try Sample()
        defer { sample.remove() }
        try body(sample)
    }

    @Test func aChunkReadsTheFileThatItsSurveySawAfterItWasReplaced() throws {
        try withSample { sample in
            let reader = sample.reader()
            let survey = try sample.survey(reader)
            let expected = try sample.specs(sample.reader(), survey)
            try sample.replace()
            #expect(try sample.specs(reader, survey) == expected)
        }
    }

    @Test func aReaderThatOpensTheReplacedFileReportsTheChange() throws {
        try withSample { sample in
            let survey = try sample.survey(sample.reader())
            try sample.replace()
            let error = #expect(throws: InputError.self) { try sample.specs(sample.reader(), survey) }
            #expect(error?.code == .changed && error?.expected == "\(survey.bytes) bytes", "\(error as Any)")
            #expect(error?.file == sample.file && error?.found != error?.expected && error?.found != nil)
        }
    }

    /// One byte of the content, so that UUID and size stay; whoever has the file open and whoever opens it notices.
    @Test func aFileThatIsChangedInPlaceIsNoticed() throws {
        try withSample { sample in
            let reader = sample.reader()
            let survey = try sample.survey(reader)
            #expect(try #require(survey.version).bytes == survey.bytes)
            _ = try sample.specs(sample.reader(), survey)
            let handle = try FileHandle(forUpdating: URL(filePath: sample.file))
            try handle.seek(toOffset: UInt64(survey.bytes / 2))
            let byte = try #require(try handle.read(upToCount: 1)?.first)
            try handle.seek(toOffset: UInt64(survey.bytes / 2))
            try handle.write(contentsOf: Data([byte ^ 1]))
            try handle.close()
            for reader in [reader, sample.reader()] {
                let error = #expect(throws: InputError.self) { try sample.specs(reader, survey) }
                #expect(error?.code == .changed && error?.file == sample.file, "\(error as Any)")
            }
            // Surveyed again, it is what it is now.
            #expect(try sample.survey(reader).version != survey.version)
        }
    }

    @Test func aTaskThatNobodyWaitsForStops() throws {
        try withSample { sample in
            let survey = try sample.survey(sample.reader())
            let stopped = BlockReader(
                ReadResources(threads: 1), localRoots: [sample.folder.path], isStopped: { true })
            for task in [
                { _ = try sample.survey(stopped) }, { _ = try sample.specs(stopped, survey) },
                { _ = try stopped.list(sample.folder.path + "/*/*/*.root") },
            ] {
                let error = #expect(throws: InputError.self, performing: task)
                #expect("\(error as Any)".contains("stopped"), "\(error as Any)")
            }
        }
    }

    @Test func aSurveyOpensTheFileAgain() throws {
        try withSample { sample in
            let reader = sample.reader()
            let before = try sample.survey(reader)
            try sample.replace()
            let after = try sample.survey(reader)
            #expect(after.identity != before.identity)
            // From now on the new file is the one that is open.
            #expect(throws: InputError.self) { try sample.specs(reader, before) }
            #expect(try !sample.specs(reader, after).isEmpty)
        }
    }

    @Test func whatIsMissingIsNamed() throws {
        try withSample { sample in
            let reader = sample.reader()
            let survey = try sample.survey(reader)
            let branch = #expect(throws: InputError.self) { try sample.specs(reader, survey, branches: ["absent"]) }
            #expect(branch?.code == .missing && "\(branch as Any)".contains("absent"))
            let tree = #expect(throws: InputError.self) {
                try reader.survey(FileReplicas(sample.file), tree: "nothing", verify: false)
            }
            #expect(tree?.code == .missing && "\(tree as Any)".contains("nothing"))
            // An error costs nobody else the file.
            #expect(try !sample.specs(reader, survey).isEmpty)
        }
    }

    @Test func aFileOutsideOfTheDirectoriesThatAWorkerMayReadIsNotOpened() throws {
        try withSample { sample in
            let inside = sample.folder.appending(path: "2").path
            let reader = BlockReader(ReadResources(threads: 1), localRoots: [inside])
            let error = #expect(throws: InputError.self) { try sample.survey(reader) }
            #expect(error?.code == .input && error?.hint?.contains("--local-files") == true, "\(error as Any)")
            // Neither is one that a path leads out to.
            let link = inside + "/../1/tth/tth_1.root"
            #expect(throws: InputError.self) {
                try reader.survey(FileReplicas(link), tree: "events", verify: false)
            }
            let allowed = try reader.survey(FileReplicas(sample.other), tree: "events", verify: false)
            #expect(allowed.entries > 0)
        }
    }
}
