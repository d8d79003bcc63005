import Bytes
import Cluster

/// A `NativeModel` while its layers are appended.
struct ModelBuilder {
    /// Values of one sample after the last stage.
    private(set) var width: Int
    private(set) var denseCount = 0
    private(set) var stages: [NativeModel.Stage] = []
    private(set) var tensors: [TensorSpec] = []
    private var transformCount = 0
    private var parameterCount = 0
    /// The rate of the dropout layers that wait for the layer after them.
    private var dropout = 0.0
    /// The numbers of the next dropout layer's random stream begin here.
    private var nextStream = 0
    /// For each layer of the job, the stage that gives its output, and the output's width; nil where the layer does
    /// nothing yet.
    private var outputs: [(stage: Int, width: Int)?] = []
    /// Stages whose output is added later.
    private var sources: Set<Int> = []

    init(width: Int) { self.width = width }

    /// Appends a layer.
    ///
    /// - Parameters:
    ///   - position: its index among the job's layers, for errors.
    ///   - isSource: whether a later layer adds its output.
    mutating func append(_ layer: JobDescription.Layer, position: Int, isSource: Bool) throws(InputError) {
        if case .dropout(let rate) = layer {
            dropout = 1 - (1 - dropout) * (1 - rate)
            if isSource { flushDropout() }
        } else {
            flushDropout()
        }
        switch layer {
        case .dropout: break
        case .dense(let units, let activation, let initializer):
            try dense(units: units, activation, initializer ?? .glorotUniform)
        case .activation(let activation):
            if let layer = activation.layer([width]) { inPlace(layer) }
        case .batchNorm(let momentum, let epsilon):
            add(BatchNorm(width: width, momentum: momentum, epsilon: epsilon))
        case .layerNorm(let epsilon): add(LayerNorm(width: width, epsilon: epsilon))
        case .add(let source): try skip(source, position: position)
        }
        outputs.append(stages.isEmpty ? nil : (stages.count - 1, width))
        if isSource, !stages.isEmpty { sources.insert(stages.count - 1) }
    }

    private mutating func flushDropout() {
        guard dropout > 0 else { return }
        let stream = max(transformCount, nextStream)
        nextStream = stream + 1
        inPlace(Dropout(inputShape: [width], rate: dropout, stream: stream))
        dropout = 0
    }

    private mutating func inPlace(_ layer: some InPlaceLayer) {
        // What is added later must not be overwritten.
        let keepsInput = layer.keepsInput || sources.contains(stages.count - 1)
        stages.append(.inPlace(layer, keepsInput: keepsInput))
    }

    private mutating func skip(_ source: Int, position: Int) throws(InputError) {
        guard outputs.indices.contains(source), let found = outputs[source] else {
            throw InputError(
                .input, "layer \(position + 1) adds the output of a layer that is not before it",
                expected: "a layer before it that computes something", found: "layer \(source + 1)")
        }
        guard found.width == width else {
            throw InputError(
                .input, "layer \(position + 1) adds the output of another width",
                expected: "\(width) values, as the layer before it gives",
                found: "\(found.width) values of layer \(source + 1)")
        }
        stages.append(.add(stage: found.stage))
    }

    private mutating func dense(
        units: Int, _ activation: JobDescription.Activation, _ initializer: JobDescription.Initializer
    ) throws(InputError) {
        let (weights, isTooLarge) = units.multipliedReportingOverflow(by: width)
        let room = NativeModel.maxParameters - parameterCount
        guard units > 0, width > 0, !isTooLarge, weights <= room - min(units, room) else {
            throw InputError(
                .limit, "dense layer \(denseCount + 1) is too large",
                expected: "at most \(NativeModel.maxParameters) parameters in the model",
                found: "\(width) inputs and \(units) units after \(parameterCount) parameters")
        }
        add(Dense(inputs: width, units: units, initializer: initializer))
        denseCount += 1
        if let layer = activation.layer([units]) { inPlace(layer) }
    }

    private mutating func add(_ layer: some TransformLayer) {
        let count = layer.tensors.parameterCount
        stages.append(
            .transform(layer, index: transformCount, parameters: parameterCount..<parameterCount + count))
        tensors += layer.tensors.map { tensor in
            var named = tensor
            named.name = "\(type(of: layer).kind)\(transformCount + 1).\(tensor.name)"
            return named
        }
        transformCount += 1
        parameterCount += count
        width = layer.outputs
    }
}
