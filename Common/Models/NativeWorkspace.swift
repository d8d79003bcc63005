package import Bytes
package import Features

/// One thread's arrays for a `NativeModel`.
package final class NativeWorkspace: ModelWorkspace {
    package let capacity: Int
    private let model: NativeModel
    /// First a copy of the input, for layers that overwrite it; then the output of each transform layer:
    /// `[capacity, width]`.
    private let values: [Lines]
    /// The gradients at `values`, array by array.
    private let gradients: [Lines]
    private let scratch: Lines
    private let sums: AlignedBuffer
    private let parameterCount: Int

    /// The most bytes that a workspace may take.
    static let maxBytes = 1 << 36

    /// An array of lines, one a sample.
    private struct Lines {
        let width: Int
        let buffer: AlignedBuffer

        init(width: Int, capacity: Int) {
            self.width = width
            buffer = NativeWorkspace.zeroes(width * capacity)
        }

        /// The first `samples` lines; traps where there are not so many.
        func lines(_ samples: Int) -> UnsafeMutableBufferPointer<Float> {
            buffer.values(of: Float.self, count: samples * width)
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
        var widths = [model.inputs]
        var scratchWidth = 0
        for case .transform(let layer, _, _) in model.stages {
            widths.append(layer.outputs)
            scratchWidth = max(scratchWidth, layer.scratchPerSample)
        }
        let floatsPerSample = 2 * widths.reduce(0, +) + scratchWidth
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
        values = widths.map { Lines(width: $0, capacity: capacity) }
        gradients = widths.map { Lines(width: $0, capacity: capacity) }
        scratch = Lines(width: scratchWidth, capacity: capacity)
        parameterCount = model.tensors.parameterCount
        sums = Self.zeroes(parameterCount)
        LinearAlgebra.onCallersThread
    }

    package var gradient: Span<Float> {
        @_lifetime(borrow self) get {
            _overrideLifetime(
                UnsafeBufferPointer(sums.values(of: Float.self, count: parameterCount)).span, borrowing: self)
        }
    }

    /// Computes a batch's gradient sums, into `gradient`, and its sum of losses times `Loss.fixedPointUnit`.
    ///
    /// - Throws: `InputError` where the batch has more samples than `capacity`, other features than one flat input of
    ///   the model's width, or another number of labels than samples.
    package func computeGradient(
        of batch: Batch, parameters: Span<Float>, random: UInt64
    ) throws(InputError) -> Int64 {
        let samples = batch.sampleCount
        try check(samples: samples, values: try Self.flatInput(batch), parameters: parameters)
        guard batch.labels.count == samples else {
            throw InputError(
                .input, "a batch has another number of labels than samples", expected: "\(samples)",
                found: "\(batch.labels.count)")
        }
        let features = batch.inputs[0].values.span
        if model.inputLayers.isEmpty {
            return computeGradient(
                features, labels: batch.labels.span, samples: samples, parameters: parameters, random: random)
        }
        return computeGradient(
            overwrite(features, samples: samples, random: random), labels: batch.labels.span, samples: samples,
            parameters: parameters, random: random)
    }

    /// Computes the scores of a batch, `[samples, outputs]`, without dropout; they are valid until the next call.
    ///
    /// - Throws: `InputError` where the batch has more samples than `capacity` or other features than one flat input of
    ///   the model's width.
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
        forward(features, samples: samples, parameters: parameters, random: nil)
        return _overrideLifetime(UnsafeBufferPointer(output(samples)).span, borrowing: self)
    }

    // MARK: Checks

    /// - Returns: the values of the one input that a `NativeModel` has.
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

    private func output(_ samples: Int) -> UnsafeMutableBufferPointer<Float> {
        values[values.count - 1].lines(samples)
    }

    private func scratchMemory(_ samples: Int) -> UnsafeMutableBufferPointer<Float> {
        scratch.buffer.values(of: Float.self, count: samples * scratch.width)
    }

    private func computeGradient(
        _ input: Span<Float>, labels: Span<Int32>, samples: Int, parameters: Span<Float>, random: UInt64
    ) -> Int64 {
        forward(input, samples: samples, parameters: parameters, random: random)
        let scores = UnsafeBufferPointer(output(samples)).span
        let loss = model.loss.sum(scores, labels: labels)
        var error = gradients[gradients.count - 1].lines(samples).mutableSpan
        model.loss.gradient(scores, labels: labels, to: &error)
        backward(input, samples: samples, parameters: parameters, random: random)
        return loss
    }

    /// Copies the input and lets the layers before the first transform overwrite the copy.
    ///
    /// - Returns: the copy.
    @_lifetime(borrow self)
    private func overwrite(_ features: Span<Float>, samples: Int, random: UInt64?) -> Span<Float> {
        let copy = values[0].lines(samples)
        for index in 0..<copy.count { copy[index] = features[index] }
        var own = copy.mutableSpan
        for layer in model.inputLayers { layer.forward(&own, random: random) }
        return _overrideLifetime(UnsafeBufferPointer(copy).span, borrowing: self)
    }

    /// What comes into the transform layer of this level: the model's input, or the output of the layer before.
    @_lifetime(copy input)
    private func source(_ level: Int, input: Span<Float>, samples: Int) -> Span<Float> {
        guard level > 0 else { return input }
        return _overrideLifetime(UnsafeBufferPointer(values[level].lines(samples)).span, copying: input)
    }

    private func forward(_ input: Span<Float>, samples: Int, parameters: Span<Float>, random: UInt64?) {
        var scratch = scratchMemory(samples).mutableSpan
        var level = 0
        for stage in model.stages {
            switch stage {
            case .inPlace(let layer):
                var current = values[level].lines(samples).mutableSpan
                layer.forward(&current, random: random)
            case .transform(let layer, _, let range):
                var output = values[level + 1].lines(samples).mutableSpan
                layer.forward(
                    source(level, input: input, samples: samples), to: &output,
                    parameters: parameters.extracting(range), scratch: &scratch, samples: samples)
                level += 1
            }
        }
    }

    /// Goes from the gradient at the input of the last activation, which lies in the last of `gradients`, to the sums.
    private func backward(_ input: Span<Float>, samples: Int, parameters: Span<Float>, random: UInt64) {
        var scratch = scratchMemory(samples).mutableSpan
        let sums = sums.values(of: Float.self, count: parameterCount)
        var level = values.count - 1
        for stage in model.stages.reversed() {
            switch stage {
            case .inPlace(let layer):
                // The loss gives the gradient beyond the last activation.
                guard level < values.count - 1 else { continue }
                var gradient = gradients[level].lines(samples).mutableSpan
                var current = values[level].lines(samples).mutableSpan
                layer.backward(&gradient, values: &current, random: random)
            case .transform(let layer, _, let range):
                let own = parameters.extracting(range)
                var ownSums = UnsafeMutableBufferPointer(rebasing: sums[range]).mutableSpan
                let gradient = UnsafeBufferPointer(gradients[level].lines(samples)).span
                level -= 1
                let source = source(level, input: input, samples: samples)
                layer.parameterGradient(
                    gradient, input: source, to: &ownSums, parameters: own, scratch: &scratch, samples: samples)
                // Nobody wants the gradient at the model's input.
                guard level > 0 else { return }
                var next = gradients[level].lines(samples).mutableSpan
                layer.inputGradient(
                    gradient, input: source, to: &next, parameters: own, scratch: &scratch, samples: samples)
            }
        }
    }
}
