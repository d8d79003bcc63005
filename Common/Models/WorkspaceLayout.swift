/// Which arrays a `NativeWorkspace` needs and how large they are: known before anything is allocated.
struct WorkspaceLayout: Sendable {
    /// What a workspace computes.
    enum Use: Sendable {
        /// Gradients: everything that the way forward made is kept for the way back.
        case training
        /// Scores alone: there is no way back, and a buffer serves again once its values are not needed.
        case scoring
    }

    let use: Use
    /// Values of one sample at each level: first the input, then what each layer makes that does not overwrite its
    /// input.
    let widths: [Int]
    /// The level of what each stage makes.
    let levels: [Int]
    /// The levels whose values a later layer adds.
    let added: Set<Int>
    /// The buffer of each level.
    let buffers: [Int]
    /// Floats of one sample in each buffer.
    let bufferLengths: [Int]
    /// Floats of scratch memory, whatever the number of samples.
    let scratchCount: Int
    private let outputs: Int
    private let parameterCount: Int

    /// Lays out the arrays of a model.
    init(_ model: NativeModel, for use: Use) {
        var widths = [model.inputs]
        var levels: [Int] = []
        var scratchCount = 0
        for stage in model.stages {
            switch stage {
            case .transform(let layer, _, _):
                widths.append(layer.outputs)
                switch use {
                case .training: scratchCount = max(scratchCount, layer.scratchCount)
                case .scoring: scratchCount = max(scratchCount, layer.forwardScratchCount)
                }
            case .inPlace(let layer, let keepsInput):
                if keepsInput { widths.append(layer.outputs) }
            case .add: widths.append(widths[widths.count - 1])
            }
            levels.append(widths.count - 1)
        }
        self.use = use
        self.widths = widths
        self.levels = levels
        self.scratchCount = scratchCount
        added = Set(model.stages.compactMap { if case .add(let stage) = $0 { levels[stage] } else { nil } })
        outputs = model.outputs
        parameterCount = model.tensors.parameterCount
        switch use {
        case .training: buffers = Array(widths.indices)
        case .scoring: buffers = Self.sharedBuffers(model, levels: levels, count: widths.count)
        }
        var lengths = [Int](repeating: 0, count: (buffers.max() ?? 0) + 1)
        for (buffer, width) in zip(buffers, widths) {
            lengths[buffer] = max(lengths[buffer], NativeModel.lineLength(width))
        }
        bufferLengths = lengths
    }

    /// Gives each level a buffer that no other level needs while it is needed.
    private static func sharedBuffers(_ model: NativeModel, levels: [Int], count: Int) -> [Int] {
        /// The last stage that reads or writes each level.
        var lastStage = [Int](repeating: -1, count: count)
        var before = 0
        for (index, stage) in model.stages.enumerated() {
            (lastStage[before], lastStage[levels[index]]) = (index, index)
            if case .add(let source) = stage { lastStage[levels[source]] = index }
            before = levels[index]
        }
        var buffers = [0]
        /// The level in each buffer.
        var occupants = [0]
        for (index, level) in levels.enumerated() where level == buffers.count {
            if let free = occupants.firstIndex(where: { lastStage[$0] < index }) {
                occupants[free] = level
                buffers.append(free)
            } else {
                buffers.append(occupants.count)
                occupants.append(level)
            }
        }
        return buffers
    }

    /// Floats that each sample of a call takes.
    var floatsPerSample: Int {
        let values = bufferLengths.reduce(0, +)
        switch use {
        case .training:
            let skipped = added.reduce(0) { $0 + NativeModel.lineLength(widths[$1]) }
            return 2 * values + skipped + outputs
        case .scoring: return values + outputs
        }
    }

    /// Values of the sums of gradients.
    var sumCount: Int {
        switch use {
        case .training: parameterCount
        case .scoring: 0
        }
    }

    /// Bytes of all arrays for up to `capacity` samples a call; `Int.max` where they are more than that.
    func bytes(capacity: Int) -> Int {
        let (samples, isTooLarge) = floatsPerSample.multipliedReportingOverflow(by: max(1, capacity))
        let (floats, overflow) = samples.addingReportingOverflow(scratchCount + sumCount)
        let (bytes, isHuge) = floats.multipliedReportingOverflow(by: MemoryLayout<Float>.stride)
        return isTooLarge || overflow || isHuge ? .max : bytes
    }
}
