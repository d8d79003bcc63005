package import Bytes
package import Features

/// One thread's arrays for a `NativeModel`.
package final class NativeWorkspace: ModelWorkspace {
    package let capacity: Int
    private let model: NativeModel
    /// First a copy of the input, then what each layer made that does not overwrite its input.
    private let values: [Lines]
    /// The gradients, in the same order.
    private let gradients: [Lines]
    /// The index in `values` of what each stage makes.
    private let levels: [Int]
    /// By level, the gradients that come back from layers that added it; nil where no layer does.
    private let skips: [Lines?]
    /// `[capacity, outputs]`, without gaps.
    private let scores: AlignedBuffer
    private let scratch: AlignedBuffer
    private let scratchCount: Int
    private let sums: AlignedBuffer
    private let parameterCount: Int

    /// The most bytes that a workspace may take.
    static let maxBytes = 1 << 36

    /// An array of lines, one a sample.
    private struct Lines {
        let length: Int
        let buffer: AlignedBuffer

        init(width: Int, capacity: Int) {
            length = NativeModel.lineLength(width)
            buffer = NativeWorkspace.zeroes(length * capacity)
        }

        /// The lines of these samples; traps where there are not so many.
        func lines(_ samples: Range<Int>) -> UnsafeMutableBufferPointer<Float> {
            let all = buffer.values(of: Float.self, count: samples.upperBound * length)
            return UnsafeMutableBufferPointer(rebasing: all[(samples.lowerBound * length)...])
        }
    }

    private static func zeroes(_ count: Int) -> AlignedBuffer {
        let buffer = AlignedBuffer(capacity: count * MemoryLayout<Float>.stride)
        buffer.values(of: Float.self, count: count).initialize(repeating: 0)
        return buffer
    }

    /// Allocates the arrays for up to `capacity` samples a call.
    ///
    /// - Throws: `InputError` with `.limit` where they would take more than 64 GiB.
    package init(_ model: NativeModel, capacity: Int) throws(InputError) {
        let layout = WorkspaceLayout(model)
        let (widths, floatsPerSample) = (layout.widths, layout.floatsPerSample)
        let (floats, isTooLarge) = floatsPerSample.multipliedReportingOverflow(by: max(1, capacity))
        guard !isTooLarge, floats <= Self.maxBytes / MemoryLayout<Float>.stride else {
            throw InputError(
                .limit, "the model's arrays are too large for this batch",
                expected: "at most \(Self.maxBytes >> 30) GiB for a thread",
                found: "\(capacity) samples of \(floatsPerSample) values",
                hint: "Make the batch smaller, or the layers.")
        }
        let capacity = max(1, capacity)
        self.model = model
        self.capacity = capacity
        levels = layout.levels
        scratchCount = layout.scratchCount
        values = widths.map { Lines(width: $0, capacity: capacity) }
        gradients = widths.map { Lines(width: $0, capacity: capacity) }
        skips = widths.enumerated().map { level, width in
            layout.added.contains(level) ? Lines(width: width, capacity: capacity) : nil
        }
        scores = Self.zeroes(capacity * model.outputs)
        scratch = Self.zeroes(scratchCount)
        parameterCount = model.tensors.parameterCount
        sums = Self.zeroes(parameterCount)
    }

    /// Computes all lanes' samples in one product a layer, forward and back to the output of the first layer.
    package func computeGradients(
        of batch: Batch, segments: [BatchSegment], parameters: Span<Float>
    ) throws(InputError) -> Int64 {
        let samples = batch.sampleCount
        try check(samples: samples, values: try Self.flatInput(batch), parameters: parameters)
        guard batch.labels.count == samples, segments.last?.rows.upperBound ?? 0 == samples else {
            throw InputError(
                .input, "a batch's labels or lanes are not those of its samples", expected: "\(samples)",
                found: "\(batch.labels.count) and \(segments.last?.rows.upperBound ?? 0)")
        }
        forward(batch.inputs[0].values.span, samples: samples, parameters: parameters, segments: segments)
        let scores = scoreValues(samples).span
        let loss = model.loss.sum(scores, labels: batch.labels.span)
        let last = gradients[gradients.count - 1]
        var error = last.lines(0..<samples).mutableSpan
        model.loss.gradient(scores, labels: batch.labels.span, line: last.length, to: &error)
        backward(samples: samples, parameters: parameters, segments: segments)
        return loss
    }

    /// Sums each layer's gradient over the segment's samples alone, in their order.
    @_lifetime(borrow self)
    package func gradient(of segment: BatchSegment, parameters: Span<Float>) -> Span<Float> {
        let sums = sums.values(of: Float.self, count: parameterCount)
        for (stage, level) in zip(model.stages, levels) {
            guard case .transform(let layer, _, let range) = stage else { continue }
            var own = UnsafeMutableBufferPointer(rebasing: sums[range]).mutableSpan
            layer.parameterGradient(
                UnsafeBufferPointer(gradients[level].lines(segment.rows)).span,
                input: UnsafeBufferPointer(values[level - 1].lines(segment.rows)).span, to: &own,
                parameters: parameters.extracting(range), samples: segment.rows.count)
        }
        return _overrideLifetime(UnsafeBufferPointer(sums).span, borrowing: self)
    }

    /// Computes the scores of a batch with one flat input, without dropout.
    @_lifetime(borrow self)
    package func scores(of batch: Batch, parameters: Span<Float>) throws(InputError) -> Span<Float> {
        _ = try Self.flatInput(batch)
        return try scores(of: batch.inputs[0].values.span, samples: batch.sampleCount, parameters: parameters)
    }

    /// Computes the scores `[samples, outputs]` of normalised features `[samples, inputs]`.
    ///
    /// - Throws: `InputError` where there are more samples than `capacity`, or the arrays have other sizes.
    @_lifetime(borrow self)
    package func scores(
        of features: Span<Float>, samples: Int, parameters: Span<Float>
    ) throws(InputError) -> Span<Float> {
        try check(samples: samples, values: features.count, parameters: parameters)
        forward(features, samples: samples, parameters: parameters, segments: nil)
        return _overrideLifetime(scoreValues(samples).span, borrowing: self)
    }

    // MARK: Checks

    /// - Returns: the number of values of the one input that a `NativeModel` has.
    private static func flatInput(_ batch: Batch) throws(InputError) -> Int {
        guard batch.inputs.count == 1 else {
            throw InputError(
                .input, "a batch has other inputs than the model", expected: "one", found: "\(batch.inputs.count)")
        }
        return batch.inputs[0].values.count
    }

    private func check(samples: Int, values: Int, parameters: Span<Float>) throws(InputError) {
        guard (0...capacity).contains(samples) else {
            throw InputError(
                .limit, "a batch is larger than the workspace", expected: "0 to \(capacity) samples",
                found: "\(samples)")
        }
        guard values >= samples * model.inputs else {
            throw InputError(
                .input, "a batch has other features than the model",
                expected: "\(samples) samples of \(model.inputs) values", found: "\(values) values")
        }
        guard parameters.count == parameterCount else {
            throw InputError(
                .input, "the parameters are of another model", expected: "\(parameterCount)",
                found: "\(parameters.count)")
        }
    }

    // MARK: Computation

    private func scoreValues(_ samples: Int) -> UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(scores.values(of: Float.self, count: samples * model.outputs))
    }

    private var scratchMemory: UnsafeMutableBufferPointer<Float> {
        scratch.values(of: Float.self, count: scratchCount)
    }

    /// Copies rows without gaps to lines, or lines to rows without gaps.
    private static func copy(
        _ samples: Int, of width: Int, from source: UnsafePointer<Float>, every sourceLine: Int,
        to target: UnsafeMutablePointer<Float>, every targetLine: Int
    ) {
        for sample in 0..<samples {
            (target + sample * targetLine).update(from: source + sample * sourceLine, count: width)
        }
    }

    private func forward(
        _ features: Span<Float>, samples: Int, parameters: Span<Float>, segments: [BatchSegment]?
    ) {
        let all = 0..<samples
        var scratch = scratchMemory.mutableSpan
        features.withUnsafeBufferPointer { features in
            guard let source = features.baseAddress, let target = values[0].lines(all).baseAddress else { return }
            Self.copy(samples, of: model.inputs, from: source, every: model.inputs, to: target, every: values[0].length)
        }
        var before = 0
        for (stage, level) in zip(model.stages, levels) {
            let input = values[before].lines(all)
            switch stage {
            case .transform(let layer, _, let range):
                var output = values[level].lines(all).mutableSpan
                layer.forward(
                    UnsafeBufferPointer(input).span, to: &output, parameters: parameters.extracting(range),
                    scratch: &scratch, samples: samples, segments: segments)
            case .inPlace(let layer, _):
                if level > before { _ = values[level].lines(all).update(from: input) }
                var current = values[level].lines(all).mutableSpan
                layer.forward(&current, samples: samples, segments: segments)
            case .add(let stage):
                Self.sum(input, values[levels[stage]].lines(all), to: values[level].lines(all))
            }
            before = level
        }
        let last = values[before]
        guard let source = last.lines(all).baseAddress,
            let target = scores.values(of: Float.self, count: samples * model.outputs).baseAddress
        else { return }
        Self.copy(samples, of: model.outputs, from: source, every: last.length, to: target, every: model.outputs)
    }

    /// Adds value by value.
    private static func sum(
        _ first: UnsafeMutableBufferPointer<Float>, _ second: UnsafeMutableBufferPointer<Float>,
        to result: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(first.count == result.count && second.count == result.count)
        for index in 0..<result.count { result[index] = first[index] + second[index] }
    }

    /// Goes from the gradient at the input of the last activation, which lies in the last of `gradients`, to that at
    /// the output of the first layer with tensors.
    private func backward(samples: Int, parameters: Span<Float>, segments: [BatchSegment]) {
        let all = 0..<samples
        guard let first = model.stages.firstIndex(where: { if case .transform = $0 { true } else { false } }) else {
            return
        }
        for skip in skips { skip?.lines(all).update(repeating: 0) }
        for index in model.stages.indices.reversed() {
            let level = levels[index]
            // Nobody wants the gradient at the model's input.
            guard index >= first else { return }
            // Once for a level: at the stage that makes it last.
            if let skip = skips[level], index + 1 == levels.count || levels[index + 1] > level {
                let own = gradients[level].lines(all)
                Self.sum(own, skip.lines(all), to: own)
            }
            guard index > first else { return }
            backward(stage: index, samples: samples, parameters: parameters, segments: segments)
        }
    }

    /// Goes from the gradient at a stage's output to that at its input.
    private func backward(stage index: Int, samples: Int, parameters: Span<Float>, segments: [BatchSegment]) {
        let all = 0..<samples
        let level = levels[index]
        let before = index > 0 ? levels[index - 1] : 0
        switch model.stages[index] {
        case .inPlace(let layer, _):
            // The loss gives the gradient beyond the last activation.
            if index < model.stages.count - 1 {
                var gradient = gradients[level].lines(all).mutableSpan
                layer.backward(
                    &gradient, input: UnsafeBufferPointer(values[before].lines(all)).span,
                    output: UnsafeBufferPointer(values[level].lines(all)).span, samples: samples, segments: segments)
            }
            if level > before { _ = gradients[before].lines(all).update(from: gradients[level].lines(all)) }
        case .add(let stage):
            let gradient = gradients[level].lines(all)
            _ = gradients[before].lines(all).update(from: gradient)
            if let skip = skips[levels[stage]]?.lines(all) { Self.sum(skip, gradient, to: skip) }
        case .transform(let layer, _, let range):
            var scratch = scratchMemory.mutableSpan
            var next = gradients[before].lines(all).mutableSpan
            layer.inputGradient(
                UnsafeBufferPointer(gradients[level].lines(all)).span,
                input: UnsafeBufferPointer(values[before].lines(all)).span, to: &next,
                parameters: parameters.extracting(range), scratch: &scratch, samples: samples, segments: segments)
        }
    }
}
