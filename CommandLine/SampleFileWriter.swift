import Arrays
import Bytes
import Cluster
import Features
import Foundation

/// Collects the samples of one part and writes them as `.npz` files of a limited number of samples each. What is held
/// is ragged, as it was read; batches are assembled while a file is written.
struct SampleFileWriter {
    /// Consecutive samples of a block.
    private struct Piece {
        var samples: EventSamples
        var range: Range<Int>
        /// The index of their file in the data plan.
        var input: Int
    }

    let part: SplitPart
    private let directory: String
    private let schema: DataSchema
    /// The logical names of the data plan's files, in its order.
    private let fileNames: [String]
    /// Samples of one file at most.
    private let limit: Int
    private var pieces: [Piece] = []
    /// Samples in `pieces`.
    private var heldCount = 0
    /// Samples and files that are written.
    private(set) var sampleCount = 0
    private(set) var fileCount = 0
    /// Samples that are assembled at once.
    private static let batch = 1024

    init(part: SplitPart, directory: String, schema: DataSchema, fileNames: [String], limit: Int) {
        self.part = part
        self.directory = directory
        self.schema = schema
        self.fileNames = fileNames
        self.limit = limit
    }

    private static func name(_ part: SplitPart, _ index: Int) -> String {
        let digits = String(index)
        return "\(part)-" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits + ".npz"
    }

    /// Whether a file of this name is one of a part's.
    static func isFile(_ name: String, of part: SplitPart) -> Bool {
        guard name.hasPrefix("\(part)-"), name.hasSuffix(".npz"),
            let index = Int(name.dropFirst("\(part)-".count).dropLast(4))
        else { return false }
        return index >= 0 && name == Self.name(part, index)
    }

    /// Takes the samples of one block, and writes the files that they complete.
    /// - Parameter input: the index of the block's file in the data plan.
    mutating func add(_ samples: EventSamples, input: Int) throws(InputError) {
        var start = 0
        while start < samples.count {
            let end = min(samples.count, start + limit - heldCount)
            pieces.append(Piece(samples: samples, range: start..<end, input: input))
            heldCount += end - start
            start = end
            if heldCount == limit { try write() }
        }
    }

    /// Writes what is left. A part without samples has one file, whose arrays are empty.
    mutating func finish() throws(InputError) {
        if heldCount > 0 || fileCount == 0 { try write() }
    }

    // MARK: One file

    private mutating func write() throws(InputError) {
        let path = URL(filePath: directory).appending(path: Self.name(part, fileCount)).path
        let archive = try NpzWriter(path: path)
        let schema = withLengths()
        let assembler = BatchAssembler(schema)
        for (index, input) in schema.inputs.enumerated() { try write(input, index, assembler, to: archive) }
        if schema.target == nil {
            try archive.add("label", pieces.flatMap { $0.samples.labels[$0.range] })
        } else {
            try archive.add("target", pieces.flatMap { $0.samples.targets?[$0.range] ?? [] })
        }
        try archive.add("weight", pieces.flatMap { piece in piece.range.map { piece.samples.weight($0) } })
        try archive.add("entry", pieces.flatMap { piece in piece.range.map { piece.samples.entry($0) } })
        try archive.add("file", pieces.flatMap { [Int32](repeating: Int32($0.input), count: $0.range.count) })
        try archive.add("file_names", texts: fileNames)
        if schema.flatWidth > 0 { try archive.add("feature_names", texts: schema.names) }
        try archive.finish()
        fileCount += 1
        sampleCount += heldCount
        heldCount = 0
        pieces.removeAll()
    }

    /// Writes one input's values, and its mask where it is a sequence.
    private func write(
        _ input: InputSchema, _ index: Int, _ assembler: BatchAssembler, to archive: NpzWriter
    ) throws(InputError) {
        let shape: [Int]
        var maskShape: [Int]?
        switch input.kind {
        case .flat: shape = [input.width]
        case .sequence(let length):
            shape = [length ?? 1, input.width]
            maskShape = [length ?? 1]
        case .image(let grid): shape = [grid.height, grid.width, input.channels.count - 2]
        }
        try archive.add(input.name, NpyArray(.float32, shape: [heldCount] + shape)) { (put) throws(InputError) in
            try forEachBatch(assembler) { (batch) throws(InputError) in
                try put(UnsafeRawBufferPointer(batch.inputs[index].values))
            }
        }
        guard let maskShape else { return }
        try archive.add("\(input.name)_mask", NpyArray(.bool, shape: [heldCount] + maskShape)) {
            (put) throws(InputError) in
            try forEachBatch(assembler) { (batch) throws(InputError) in
                let bytes = (batch.inputs[index].mask ?? .init(start: nil, count: 0)).map { UInt8($0 == 0 ? 0 : 1) }
                try bytes.withUnsafeBufferPointer { (bytes) throws(InputError) in
                    try put(UnsafeRawBufferPointer(bytes))
                }
            }
        }
    }

    /// Assembles what is held, in order, a batch at a time.
    private func forEachBatch(
        _ assembler: BatchAssembler, _ body: (Batch) throws(InputError) -> Void
    ) throws(InputError) {
        var batch = Batch(assembler.schema)
        for piece in pieces {
            for start in stride(from: piece.range.lowerBound, to: piece.range.upperBound, by: Self.batch) {
                assembler.assemble(
                    start..<min(piece.range.upperBound, start + Self.batch), of: piece.samples, into: &batch)
                try body(batch)
            }
        }
    }

    /// The schema with a length for each sequence: that of the file's longest one where the schema has none.
    private func withLengths() -> DataSchema {
        guard schema.inputs.contains(where: { $0.kind == .sequence(length: nil) }) else { return schema }
        var longest = [Int](repeating: 1, count: schema.inputs.count)
        let assembler = BatchAssembler(schema)
        // Nothing is thrown here.
        try? forEachBatch(assembler) { batch in
            for index in longest.indices { longest[index] = max(longest[index], batch.inputs[index].shape.first ?? 1) }
        }
        var fixed = schema
        for index in fixed.inputs.indices where fixed.inputs[index].kind == .sequence(length: nil) {
            fixed.inputs[index].kind = .sequence(length: longest[index])
        }
        return fixed
    }
}

extension DataSchema {
    /// The schema of the same values as they were read: a missing one is NaN.
    var withoutNormalisation: DataSchema {
        DataSchema(
            inputs: inputs.map { input in
                var input = input
                for index in input.channels.indices {
                    (input.channels[index].offset, input.channels[index].scale) = (0, 1)
                    input.channels[index].fill = .nan
                }
                return input
            }, target: target)
    }
}
