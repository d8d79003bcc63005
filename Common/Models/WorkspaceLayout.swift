/// Which arrays one thread needs to compute a `NativeModel`.
struct WorkspaceLayout {
    /// The width of each array of samples: first the input's copy, then what each layer makes that does not overwrite
    /// its input. Values and gradients have one each.
    private(set) var widths: [Int]
    /// The index in `widths` of what each stage makes.
    private(set) var levels: [Int] = []
    /// Indices in `widths` of what later layers add.
    let added: Set<Int>
    /// Floats of scratch memory.
    private(set) var scratchCount = 0
    /// Floats for each sample, of values, gradients, sums of added layers, and scores.
    let floatsPerSample: Int

    init(_ model: NativeModel) {
        var widths = [model.inputs]
        var levels: [Int] = []
        for stage in model.stages {
            switch stage {
            case .transform(let layer, _, _):
                widths.append(layer.outputs)
                scratchCount = max(scratchCount, layer.scratchCount)
            case .inPlace(let layer, let keepsInput):
                if keepsInput { widths.append(layer.outputs) }
            case .add: widths.append(widths[widths.count - 1])
            }
            levels.append(widths.count - 1)
        }
        added = Set(model.stages.compactMap { if case .add(let stage) = $0 { levels[stage] } else { nil } })
        let skipped = added.reduce(0) { $0 + NativeModel.lineLength(widths[$1]) }
        floatsPerSample = skipped + 2 * widths.reduce(0) { $0 + NativeModel.lineLength($1) } + model.outputs
        self.widths = widths
        self.levels = levels
    }
}
