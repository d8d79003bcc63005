package import Bytes

/// A named tensor of a request or an answer.
package struct NamedTensor: Sendable, Equatable {
    package var name: String
    /// The extent of each axis; the first is the number of samples.
    package var shape: [Int]
    /// The values in C order; NaN stands for a missing one.
    package var values: [Float]

    /// Creates a tensor. Whether the values are as many as the shape requires is checked by whoever takes it.
    package init(name: String, shape: [Int], values: [Float]) {
        self.name = name
        self.shape = shape
        self.values = values
    }
}

/// A model as it is served: named tensors in, named tensors out. Padding and normalisation are part of it. Calls may
/// come from several threads at once.
package protocol Predictor: Sendable {
    /// The tensors of a request; shapes without the axis of samples.
    var inputs: [TensorSpec] { get }
    /// The tensors of an answer; shapes without the axis of samples.
    var outputs: [TensorSpec] { get }
    /// The names of the features of the flat input, in their order.
    var features: [String] { get }

    /// Computes the answer to a request.
    ///
    /// - Parameter inputs: one tensor for each of `self.inputs`, all with the same number of samples.
    /// - Throws: `InputError` that states what differs from the inputs of the model.
    func predict(_ inputs: [NamedTensor]) throws(InputError) -> [NamedTensor]
}

extension Predictor {
    /// Checks that a request has exactly the model's inputs with plausible shapes.
    ///
    /// - Returns: the number of samples.
    func check(_ request: [NamedTensor]) throws(InputError) -> Int {
        func text(_ shape: [Int]) -> String { "[" + (["N"] + shape.map(String.init)).joined(separator: ", ") + "]" }
        guard request.count == inputs.count else {
            throw InputError(
                .input, "the request has another number of inputs than the model",
                expected: inputs.map { "\($0.name) \(text($0.shape))" }.joined(separator: ", "),
                found: request.isEmpty ? "none" : request.map(\.name).joined(separator: ", "))
        }
        var samples: Int?
        for (spec, tensor) in zip(inputs, request) {
            guard tensor.name == spec.name else {
                throw InputError(.input, "the name of an input is wrong", expected: spec.name, found: tensor.name)
            }
            guard let first = tensor.shape.first, first > 0, Array(tensor.shape.dropFirst()) == spec.shape else {
                throw InputError(
                    .input, "the shape of an input is wrong", object: spec.name,
                    expected: "\(text(spec.shape)) with at least one sample", found: "\(tensor.shape)")
            }
            let (values, isTooLarge) = first.multipliedReportingOverflow(by: spec.count)
            guard !isTooLarge, tensor.values.count == values, samples ?? first == first else {
                throw InputError(
                    .input, "an input has another number of values than its shape requires, or than the other inputs",
                    object: spec.name, expected: "\(first) samples of \(spec.count) values",
                    found: "\(tensor.values.count) values")
            }
            samples = first
        }
        return samples ?? 0
    }
}
