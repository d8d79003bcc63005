package import Bytes
package import Cluster
package import Features

/// A model as training sees it: tensors, the values with which they begin, gradient sums, scores and an export. The
/// trainer, the optimisers and checkpoints know no more of it.
///
/// The parameters are one array in which the tensors lie one after another.
package protocol TrainableModel: Sendable {
    /// The tensors that are trained, in the order in which they lie in the parameters.
    var tensors: [TensorSpec] { get }
    /// What is minimised; it also determines how many scores a sample has.
    var loss: Loss { get }

    /// The parameters with which training begins: the same for one seed on every host.
    func initialParameters(seed: UInt64) -> [Float]

    /// Allocates what one thread computes with.
    ///
    /// - Parameter capacity: the largest number of samples of one call, at least 1.
    /// - Throws: `InputError` with `.limit` where the arrays would be too large.
    func makeWorkspace(capacity: Int) throws(InputError) -> any ModelWorkspace

    /// Writes the trained model with its normalisation as ONNX.
    ///
    /// - Parameters:
    ///   - parameters: the trained values of all tensors.
    ///   - schema: the inputs with their normalisation.
    ///   - version: the producer's version.
    func export(_ parameters: [Float], schema: DataSchema, version: String) throws(InputError) -> [UInt8]
}

/// The samples of one lane in a batch.
package struct BatchSegment: Sendable, Equatable {
    /// The samples' rows in the batch.
    package var rows: Range<Int>
    /// The key of this step's and lane's random numbers.
    package var random: UInt64

    package init(rows: Range<Int>, random: UInt64) {
        self.rows = rows
        self.random = random
    }
}

/// What one thread computes a model with; it keeps the arrays from call to call. Spans that it hands out hold until its
/// next call.
package protocol ModelWorkspace: AnyObject {
    /// The largest number of samples of one call.
    var capacity: Int { get }

    /// Computes the scores and the losses of a batch, and all that `gradient(of:)` needs.
    ///
    /// - Parameters:
    ///   - segments: the lanes' samples in the batch: together all of its rows, in order.
    ///   - parameters: the values of all tensors.
    /// - Returns: the sum of the losses, as `Loss.total` reads it.
    /// - Throws: `InputError` where the batch has more samples than `capacity`, other inputs than the model, or not
    ///   what its scores are compared with.
    func computeGradients(
        of batch: Batch, segments: [BatchSegment], parameters: Span<Float>
    ) throws(InputError) -> ExactSum

    /// Computes, after `computeGradients`, the sum over one segment's samples of the gradient of each parameter, as the
    /// parameters lie. It depends on the segment's samples and its key alone.
    @_lifetime(borrow self)
    func gradient(of segment: BatchSegment, parameters: Span<Float>) -> Span<Float>

    /// Computes the scores of a batch, `[samples, outputs]`, as outside of training.
    ///
    /// - Throws: `InputError` where the batch has more samples than `capacity` or other inputs than the model.
    @_lifetime(borrow self)
    func scores(of batch: Batch, parameters: Span<Float>) throws(InputError) -> Span<Float>
}

extension TrainingPlan {
    /// Makes the model that is to be trained.
    ///
    /// - Parameter schema: the inputs that its batches have.
    /// - Throws: `InputError` where the plan's layers do not take such inputs, or its loss is of something else.
    package func model(_ schema: DataSchema) throws(InputError) -> any TrainableModel {
        guard schema.inputs.count == 1, schema.inputs[0].kind == .flat else {
            throw InputError(
                .unsupported, "the layers of the model take one flat input",
                found: schema.inputs.map(\.name).joined(separator: ", "))
        }
        let loss: Loss? =
            if case .dense(let units, _, _)? = layers.last {
                try Loss(self.loss, lossSettings, outputs: units, target: schema.target)
            } else { nil }
        return try NativeModel(inputs: schema.flatWidth, layers: layers, loss: loss)
    }
}
