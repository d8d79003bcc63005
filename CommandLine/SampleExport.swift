import Bytes
import Cluster
import Dispatch
import Features
import Foundation
import Pipeline
import Storage

/// Reads the samples of a data plan and writes them, part by part, to the files of a directory. Its calls block.
struct SampleExport: Sendable {
    let plan: DataPlan
    /// Each at most once.
    let parts: [SplitPart]
    let directory: String
    let catalog: SiteCatalog
    /// Leaves out the normalisation.
    var isRaw = false
    /// Samples in one file at most.
    var samplesPerFile = 100_000
    /// Removes what is there of the parts.
    var replaces = false
    /// Threads that compute.
    var threads = 1
    /// Blocks that are fetched beside those that are computed.
    var readAhead = 0
    /// Stored bytes held at once.
    var memoryBytes = 1 << 30

    init(plan: DataPlan, parts: [SplitPart], directory: String, catalog: SiteCatalog) {
        self.plan = plan
        self.parts = parts
        self.directory = directory
        self.catalog = catalog
    }

    /// What was written of a part.
    struct Written: Sendable {
        var part: SplitPart
        var samples: Int
        var files: Int
    }

    /// Writes all samples of the parts.
    /// - Throws: `InputError` with the file that cannot be read, was replaced, or cannot be written. The files that are
    ///   written by then stay.
    func run() throws -> [Written] {
        let board = SiteBoard(catalog)
        if let failure = board.cacheFailure { printError("\(failure)") }
        // A worker of this machine would ask for --local-files; here the user reads what the user may read.
        let scan = try PlanScan(
            plan, resources: ReadResources(board, threads: threads, memoryBytes: memoryBytes), localRoots: ["/"],
            threads: threads + readAhead)
        try prepareDirectory()
        let schema = isRaw ? plan.schema.withoutNormalisation : plan.schema
        let names = plan.inputs.map(\.file.logicalName)
        var writers = parts.map { part in
            SampleFileWriter(
                part: part, directory: directory, schema: schema, fileNames: names, limit: samplesPerFile)
        }
        var progress = SampleProgress(plan, parts)
        try scan.forEachBlock(of: parts) { block, store in
            for index in writers.indices {
                try writers[index].add(store[writers[index].part], input: block.input)
            }
            progress.add(
                input: block.input, samples: parts.reduce(0) { $0 + block.rows[$1] }, truncated: store.truncated)
        }
        for index in writers.indices { try writers[index].finish() }
        progress.end()
        return writers.map { Written(part: $0.part, samples: $0.sampleCount, files: $0.fileCount) }
    }

    /// Makes the directory, and sees to it that it has nothing of the parts.
    private func prepareDirectory() throws {
        let manager = FileManager.default
        let present: [String]
        do {
            try manager.createDirectory(atPath: directory, withIntermediateDirectories: true)
            present = try manager.contentsOfDirectory(atPath: directory).sorted()
        } catch {
            throw InputError(
                .denied, "cannot make the output directory", file: directory, found: error.localizedDescription)
        }
        for part in parts {
            for name in present where SampleFileWriter.isFile(name, of: part) {
                let path = URL(filePath: directory).appending(path: name)
                guard replaces else {
                    throw InputError(
                        .input, "the directory has samples of the \(part) part already", file: path.path,
                        hint: "--force replaces them.")
                }
                // Those of a longer run would mix with the new ones.
                do { try manager.removeItem(at: path) } catch {
                    throw InputError(
                        .denied, "cannot remove a file", file: path.path, found: error.localizedDescription)
                }
            }
        }
    }
}

/// Reports on standard error, every two seconds, how far an export is.
private struct SampleProgress {
    private let allFiles: Int
    private let allSamples: Int
    private var files = 0
    private var samples = 0
    private var truncated: Int64 = 0
    private var lastInput: Int?
    private var lastReport = DispatchTime.now().uptimeNanoseconds
    private static let interval: UInt64 = 2_000_000_000

    init(_ plan: DataPlan, _ parts: [SplitPart]) {
        let blocks = plan.blocks.filter { block in parts.contains { block.rows[$0] > 0 } }
        allFiles = Set(blocks.map(\.input)).count
        allSamples = blocks.reduce(0) { total, block in parts.reduce(total) { $0 + block.rows[$1] } }
    }

    /// Counts a block of a file; the blocks of a file come one after another.
    mutating func add(input: Int, samples: Int, truncated: Int64) {
        if input != lastInput { files += 1 }
        lastInput = input
        self.samples += samples
        self.truncated += truncated
        let now = DispatchTime.now().uptimeNanoseconds
        guard now - lastReport >= Self.interval else { return }
        lastReport = now
        report()
    }

    /// The last report, with what the padding left out of the blocks' entries of all parts.
    func end() {
        report()
        guard truncated > 0 else { return }
        FileHandle.standardError.write(
            Data("\(truncated) values are beyond the padding and were left out, as in training\n".utf8))
    }

    private func report() {
        FileHandle.standardError.write(
            Data("\(files) of \(allFiles) files, \(samples) of \(allSamples) samples read\n".utf8))
    }
}
