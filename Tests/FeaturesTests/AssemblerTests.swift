import Bytes
import Cluster
import Columns
import Features
import Foundation
import Pipeline
import Sampling
import TestKit
import Testing

/// Batches of a real file, held against awkward and NumPy.
@Suite struct AssemblerTests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardizedFileURL
    static let file = root.appending(path: "../shared/root-corpus/files/skhep__uproot-HZZ.root").standardizedFileURL
    static let python = root.appending(path: ".build-python/bin/python")

    static let hasOracle =
        FileManager.default.fileExists(atPath: file.path) && FileManager.default.fileExists(atPath: python.path)

    private static func channel(
        _ branch: String, width: Int = 1, jagged: Bool = true, offset: Float = 0, scale: Float = 1, fill: Float = 0
    ) -> Channel {
        Channel(branch: branch, width: width, jagged: jagged, offset: offset, scale: scale, fill: fill)
    }

    static let schema = DataSchema(inputs: [
        InputSchema(
            name: "flat", kind: .flat,
            channels: [
                channel("MET_px", jagged: false, offset: 1.5, scale: 0.25),
                channel("Jet_E", width: 3, offset: 20, scale: 0.01, fill: -1),
                channel("NJet", jagged: false, scale: 0.5), channel("Jet_Px", width: 3, fill: 0.5),
            ]),
        InputSchema(
            name: "jets", kind: .sequence(length: nil),
            channels: [
                channel("Jet_Px", offset: -2, scale: 0.5), channel("Jet_Py", scale: 2),
                channel("Jet_E", offset: 3, scale: 0.125),
            ]),
        InputSchema(
            name: "image", kind: .image(ImageGrid(height: 6, width: 5, xMin: -60, xMax: 60, yMin: -50, yMax: 70)),
            channels: [channel("Jet_Px"), channel("Jet_Py"), channel("Jet_E", offset: 1, scale: 0.5)]),
    ])

    /// The file's entries as one block of training samples.
    private func store() throws -> EventStore {
        let reader = BlockReader(ReadResources(threads: 1), localRoots: ["/"])
        let file = FileReplicas(Self.file.path)
        let survey = try reader.survey(file, tree: "events", verify: false)
        var split = JobDescription.Split()
        (split.train, split.validation, split.test) = (1, 0, 0)
        let block = TrainingBlock(
            dataset: 0, label: 1, input: 0, first: 0, end: survey.entries,
            rows: PartTable(train: Int(survey.entries), validation: 0, test: 0))
        return try reader.events(
            block, of: InputTree(file, tree: "events", identity: survey.identity), Self.schema, labelBranch: nil,
            split: split)
    }

    private func oracle() throws -> (values: [Float], samples: Int, longest: Int, outside: Int64) {
        let output = FileManager.default.temporaryDirectory.appending(path: "beamline-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: output) }
        let script = Self.root.appending(path: "Tests/FeaturesTests/oracle.py").path
        let found = try Process.result(Self.python.path, [script, Self.file.path, output.path])
        let words = String(decoding: found.output, as: UTF8.self)
            .split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        try #require(found.status == 0 && words.count == 3)
        let values = try Data(contentsOf: output).withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map {
                Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))
            }
        }
        return (values, words[0], words[1], Int64(words[2]))
    }

    @Test(.enabled(if: hasOracle, "needs ../shared/root-corpus and .build-python"))
    func batchesOfARealFileAgreeWithNumPy() throws {
        let store = try store()
        let oracle = try oracle()
        let samples = store[.train]
        #expect(samples.count == oracle.samples && store.outsideGrid == oracle.outside && oracle.outside > 100)
        #expect(samples.entry(0) == 0 && samples.entry(2420) == 2420 && samples.weight(7) == 1)
        let assembler = BatchAssembler(Self.schema)
        var batch = Batch(Self.schema, capacity: 16)
        assembler.assemble(0..<samples.count, of: samples, into: &batch)
        #expect(
            batch.inputs.map(\.shape) == [[8], [oracle.longest, 3], [6, 5, 1]] && batch.sampleCount == samples.count)
        var ours = Array(batch.inputs[0].values)
        ours += Array(batch.inputs[1].values)
        ours += Array(try #require(batch.inputs[1].mask))
        ours += Array(batch.inputs[2].values)
        #expect(ours.count == oracle.values.count)
        // Equal as numbers: the padding of a sequence may be 0 or -0 in NumPy's product.
        #expect(zip(ours, oracle.values).allSatisfy { $0 == $1 })
        #expect(batch.labels.allSatisfy { $0 == 1 } && batch.weights.allSatisfy { $0 == 1 })
        let missing = ours[..<(8 * samples.count)].count { $0 == -1 || $0 == 0.5 }
        #expect(missing > 1000, "the file has events with fewer jets than the padding")
    }

    /// A sample's values do not depend on the batch that it is in, but for a sequence's padding, and a batch's storage
    /// is used again.
    @Test(.enabled(if: hasOracle, "needs ../shared/root-corpus and .build-python"))
    func samplesDoNotDependOnTheirBatch() throws {
        let samples = try store()[.train]
        let assembler = BatchAssembler(Self.schema)
        var (whole, small) = (Batch(Self.schema), Batch(Self.schema, capacity: 5))
        assembler.assemble(0..<samples.count, of: samples, into: &whole)
        var random = SeededRandom(seed: 5)
        let order = random.permutation(samples.count)
        for start in stride(from: 0, to: 600, by: 7) {
            let chosen = Array(order[start..<start + 7 - start % 3])
            assembler.assemble(chosen.map { Sample(samples, $0) }, into: &small)
            for (row, sample) in chosen.enumerated() {
                for input in [0, 2] {
                    let size = whole.inputs[input].sampleSize
                    #expect(
                        small.inputs[input].values[row * size..<(row + 1) * size].elementsEqual(
                            whole.inputs[input].values[sample * size..<(sample + 1) * size]))
                }
                let (length, longest) = (small.inputs[1].shape[0], whole.inputs[1].shape[0])
                #expect(
                    small.inputs[1].values[row * length * 3..<(row + 1) * length * 3].elementsEqual(
                        whole.inputs[1].values[sample * longest * 3..<(sample * longest + length) * 3]))
            }
        }
    }
}
