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

/// What one thread computes a model with; it keeps the arrays from call to call. Spans that it hands out hold until its
/// next call.
package protocol ModelWorkspace: AnyObject {
    /// The largest number of samples of one call.
    var capacity: Int { get }

    /// Computes the sum over the batch of the gradient of each parameter, into `gradient`, and the sum of the losses.
    ///
    /// - Parameters:
    ///   - parameters: the values of all tensors.
    ///   - random: the key of this step's and lane's random numbers.
    /// - Returns: the sum of the losses times `Loss.fixedPointUnit`.
    /// - Throws: `InputError` where the batch has more samples than `capacity` or other inputs than the model.
    func computeGradient(of batch: Batch, parameters: Span<Float>, random: UInt64) throws(InputError) -> Int64

    /// The gradient sums of the last `computeGradient`, as the parameters lie.
    var gradient: Span<Float> { @_lifetime(borrow self) get }

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
    /// - Throws: `InputError` where the plan's layers do not take such inputs.
    package func model(_ schema: DataSchema) throws(InputError) -> any TrainableModel {
        guard schema.inputs.count == 1, schema.inputs[0].kind == .flat else {
            throw InputError(
                .unsupported, "the layers of the model take one flat input",
                found: schema.inputs.map(\.name).joined(separator: ", "))
        }
        return try NativeModel(inputs: schema.flatWidth, layers: layers)
    }
}
