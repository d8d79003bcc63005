/// The name and the shape of a tensor: what the trainer, the optimisers, checkpoints and served models know of it.
package struct TensorSpec: Codable, Sendable, Equatable {
    /// What the tensor is called in errors and in requests, for example `dense1.weights`.
    package var name: String
    /// The extent of each axis, each at least 1; the values lie in C order. An input or output of a model leaves out
    /// the axis of samples.
    package var shape: [Int]
    /// For a running statistic, which no optimiser updates: the share of it that each step replaces. Its gradient is
    /// its distance from what replaces it. nil for a tensor that is trained, and for an input or output.
    package var momentum: Double?

    /// Creates the description of a tensor.
    ///
    /// - Parameters:
    ///   - name: what errors and requests call it.
    ///   - shape: the extent of each axis; `[]` is a single number.
    ///   - momentum: for a running statistic, the share of it that each step replaces.
    package init(_ name: String, shape: [Int], momentum: Double? = nil) {
        self.momentum = momentum
        self.name = name
        self.shape = shape
    }

    /// The number of values.
    package var count: Int { shape.reduce(1, *) }
}

extension Array where Element == TensorSpec {
    /// The number of values of all tensors together.
    package var parameterCount: Int { reduce(0) { $0 + $1.count } }

    /// Where each tensor lies in one array that holds all of them one after another.
    package var ranges: [Range<Int>] {
        var start = 0
        return map { tensor in
            defer { start += tensor.count }
            return start..<start + tensor.count
        }
    }
}
