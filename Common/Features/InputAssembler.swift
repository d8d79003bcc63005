import CKernels

/// Assembles one input of a batch.
struct InputAssembler: Sendable {
    private let schema: InputSchema
    private let firstChannel: Int
    /// One number for each value of a sample's row or item, `[width]`.
    private let normalisation: Normalisation
    private let width: Int
    private let runs: [Run]
    /// Whether a sample may have fewer values than its row.
    private let isRagged: Bool

    /// Values that lie together in a store and in the assembled row: consecutive channels of fixed width, or one jagged
    /// channel.
    private struct Run: Sendable {
        var channel: Int
        /// The index of the run's first value in the row, and the number of values that it may have.
        var offset: Int
        var width: Int
        var jagged: Bool
    }

    /// - Parameter firstChannel: the index of the input's first channel among all of the schema's.
    init(_ schema: InputSchema, firstChannel: Int) {
        self.schema = schema
        self.firstChannel = firstChannel
        normalisation = schema.normalisation
        width = schema.width
        var runs: [Run] = []
        var offset = 0
        for (index, channel) in schema.channels.enumerated() {
            if !channel.jagged, let last = runs.last, !last.jagged {
                runs[runs.count - 1].width += channel.width
            } else {
                runs.append(
                    Run(channel: firstChannel + index, offset: offset, width: channel.width, jagged: channel.jagged))
            }
            offset += channel.width
        }
        self.runs = runs
        isRagged = runs.contains(where: \.jagged)
    }

    /// - Parameter cursors: for each sample the index in its store of this input's first value; moved past the input.
    func assemble(_ samples: [Sample], cursors: inout [Int], into input: inout BatchInput) {
        switch schema.kind {
        case .flat: flat(samples, &cursors, input.prepare(samples: samples.count, shape: [width]))
        case .sequence(let length): sequence(samples, length, &cursors, &input)
        case .image(let grid): image(samples, grid, &cursors, &input)
        }
    }

    // MARK: Flat

    private func flat(_ samples: [Sample], _ cursors: inout [Int], _ target: UnsafeMutableBufferPointer<Float>) {
        guard let target = target.baseAddress, width > 0 else { return }
        runs.withUnsafeBufferPointer { runs in
            normalisation.offset.withUnsafeBufferPointer { offset in
                normalisation.scale.withUnsafeBufferPointer { scale in
                    normalisation.fill.withUnsafeBufferPointer { fill in
                        let kernel = Kernel(
                            runs: runs, offset: offset.baseAddress.unsafelyUnwrapped,
                            scale: scale.baseAddress.unsafelyUnwrapped, fill: fill.baseAddress.unsafelyUnwrapped)
                        for (row, sample) in samples.enumerated() {
                            cursors[row] = self.row(sample, cursors[row], kernel, to: target + row * width)
                        }
                    }
                }
            }
        }
    }

    /// What a row is made with, as pointers: they are taken once a batch.
    private struct Kernel {
        let runs: UnsafeBufferPointer<Run>
        let offset: UnsafePointer<Float>
        let scale: UnsafePointer<Float>
        let fill: UnsafePointer<Float>
    }

    /// Normalises one sample's values; what jagged channels lack is their fill.
    /// - Returns: the index after the sample's values of this input.
    @inline(__always)
    private func row(
        _ sample: Sample, _ cursor: Int, _ kernel: Kernel, to target: UnsafeMutablePointer<Float>
    ) -> Int {
        sample.samples.withValues(of: sample.index) { source in
            var cursor = cursor
            if isRagged { target.update(from: kernel.fill, count: width) }
            for run in kernel.runs {
                let count = run.jagged ? source.length(of: run.channel, width: run.width) : run.width
                precondition(count <= run.width && cursor + count <= source.values.count)
                if count > 0 {
                    let offset = run.offset
                    ck_normalise(
                        target + offset, source.values.baseAddress.unsafelyUnwrapped + cursor, kernel.offset + offset,
                        kernel.scale + offset, kernel.fill + offset, count)
                }
                cursor += count
            }
            return cursor
        }
    }

    // MARK: Sequences

    private func sequence(_ samples: [Sample], _ length: Int?, _ cursors: inout [Int], _ input: inout BatchInput) {
        let items = samples.map { sample in
            sample.samples.length(sample.index, of: firstChannel, width: 0) / schema.channels[0].width
        }
        // At least one item, so that no tensor is empty.
        let longest = length ?? max(1, items.max() ?? 1)
        let values = input.prepare(samples: samples.count, shape: [longest, width])
        let mask = input.prepareMask()
        values.update(repeating: 0)
        mask.update(repeating: 0)
        for (row, sample) in samples.enumerated() {
            let count = items[row]
            precondition(count <= longest)
            for item in 0..<count { mask[row * longest + item] = 1 }
            var column = 0
            for channel in schema.channels {
                for item in 0..<count {
                    for value in 0..<channel.width {
                        values[(row * longest + item) * width + column + value] = normalised(
                            sample.samples.values[cursors[row] + item * channel.width + value], column + value)
                    }
                }
                cursors[row] += count * channel.width
                column += channel.width
            }
        }
    }

    @inline(__always)
    private func normalised(_ value: Float, _ column: Int) -> Float {
        value.isNaN
            ? normalisation.fill[column] : (value - normalisation.offset[column]) * normalisation.scale[column]
    }

    // MARK: Images

    /// Adds each item's weights to its pixel, in the order of the items; x and y are not normalised.
    private func image(_ samples: [Sample], _ grid: ImageGrid, _ cursors: inout [Int], _ input: inout BatchInput) {
        let depth = schema.channels.count - 2
        let pixels = input.prepare(samples: samples.count, shape: [grid.height, grid.width, depth])
        pixels.update(repeating: 0)
        let size = grid.height * grid.width * depth
        for (row, sample) in samples.enumerated() {
            let values = sample.samples.values
            let count = sample.samples.length(sample.index, of: firstChannel, width: 0)
            let start = cursors[row]
            for item in start..<start + count {
                guard let pixel = grid.pixel(x: values[item], y: values[item + count]) else { continue }
                for channel in 0..<depth {
                    pixels[row * size + pixel * depth + channel] += normalised(
                        values[item + (channel + 2) * count], channel + 2)
                }
            }
            cursors[row] = start + (depth + 2) * count
        }
    }
}
