import COpenBLAS
import Cluster
import Glibc
import Sampling

/// A multilayer perceptron's shape. Its parameters lie in one array: for each dense layer the weights [units, inputs] in C order, then
/// the biases [units].
package struct Network: Sendable, Equatable {
    package struct Dense: Sendable, Equatable {
        package let inputs: Int
        package let units: Int
        package let activation: JobDescription.Activation
        /// The share of this layer's inputs that training drops.
        package let dropout: Double
        package let weights: Int
        package let biases: Int
    }

    package let layers: [Dense]
    package let inputs: Int
    package let parameterCount: Int

    package init(inputs: Int, layers description: [JobDescription.Layer]) {
        self.inputs = inputs
        var layers: [Dense] = []
        var width = inputs
        var offset = 0
        var dropout = 0.0
        for layer in description {
            switch layer {
            case .dropout(let rate): dropout = 1 - (1 - dropout) * (1 - rate)
            case .dense(let units, let activation):
                layers.append(
                    Dense(
                        inputs: width, units: units, activation: activation, dropout: dropout, weights: offset,
                        biases: offset + units * width))
                offset += units * width + units
                width = units
                dropout = 0
            }
        }
        self.layers = layers
        parameterCount = offset
    }

    package var outputs: Int { layers.last?.units ?? 0 }

    /// The tensors, each a range of the parameters: weights and biases of each layer.
    package var tensors: [Range<Int>] {
        layers.flatMap { [$0.weights..<$0.biases, $0.biases..<$0.biases + $0.units] }
    }

    /// Uniform weights after Glorot and Bengio, from counter-based random numbers; biases 0.
    package func initialParameters(seed: UInt64) -> [Float] {
        var parameters = [Float](repeating: 0, count: parameterCount)
        for (index, layer) in layers.enumerated() {
            let limit = (6 / Float(layer.inputs + layer.units)).squareRoot()
            let key = RandomStream.initialValues.key(seed: seed, UInt64(index))
            for place in 0..<layer.units * layer.inputs {
                let draw = Float(mix(key ^ mix(UInt64(place))) >> 40) / 16_777_216
                parameters[layer.weights + place] = (2 * draw - 1) * limit
            }
        }
        return parameters
    }
}

/// The arrays of one thread for rows that go through a network, up to `capacity` at a time.
package final class Workspace {
    let network: Network
    /// The most rows that it has room for.
    package let capacity: Int
    /// For each layer its input after dropout, [rows, inputs]; last the network's output.
    private let activations: [UnsafeMutablePointer<Float>]
    private let deltas: [UnsafeMutablePointer<Float>]
    /// The sum of gradients over the rows, as the parameters lie.
    package let gradient: UnsafeMutablePointer<Float>

    package init(_ network: Network, capacity: Int) {
        self.network = network
        self.capacity = max(1, capacity)
        let widths = network.layers.map(\.inputs) + [network.outputs]
        let capacity = self.capacity
        func allocate(_ count: Int) -> UnsafeMutablePointer<Float> {
            let pointer = UnsafeMutableRawPointer.allocate(byteCount: max(64, count * 4), alignment: 64)
                .assumingMemoryBound(to: Float.self)
            pointer.initialize(repeating: 0, count: count)
            return pointer
        }
        activations = widths.map { allocate($0 * capacity) }
        deltas = widths.map { allocate($0 * capacity) }
        gradient = allocate(network.parameterCount)
        openblas_set_num_threads(1)
    }

    deinit {
        for pointer in activations + deltas + [gradient] { pointer.deallocate() }
    }

    /// Where the rows go: [rows, inputs], normalised.
    package var input: UnsafeMutablePointer<Float> { activations[0] }
    /// [rows, outputs] after `forward`.
    package var output: UnsafeMutablePointer<Float> { activations[activations.count - 1] }

    /// - Parameter dropout: the key of this step's and lane's random numbers; nil outside training.
    package func forward(_ parameters: UnsafePointer<Float>, rows: Int, dropout: UInt64? = nil) {
        for (index, layer) in network.layers.enumerated() {
            let source = activations[index]
            if let dropout, layer.dropout > 0 {
                drop(source, rows * layer.inputs, layer.dropout, mix(dropout, UInt64(index)))
            }
            let target = activations[index + 1]
            for row in 0..<rows {
                (target + row * layer.units).update(from: parameters + layer.biases, count: layer.units)
            }
            cblas_sgemm(
                CblasRowMajor, CblasNoTrans, CblasTrans, blasint(rows), blasint(layer.units), blasint(layer.inputs), 1,
                source, blasint(layer.inputs),
                parameters + layer.weights, blasint(layer.inputs), 1, target, blasint(layer.units))
            activate(target, rows, layer)
        }
    }

    /// Zeroes a share of the values and scales the rest up; the same key does the same to their gradient.
    private func drop(_ values: UnsafeMutablePointer<Float>, _ count: Int, _ rate: Double, _ key: UInt64) {
        let threshold = UInt64(rate * 4_294_967_296)
        let scale = Float(1 / (1 - rate))
        for place in stride(from: 0, to: count, by: 2) {
            let draw = mix(key ^ (UInt64(place) &* 0x9E37_79B9_7F4A_7C15))
            values[place] = draw & 0xFFFF_FFFF < threshold ? 0 : values[place] * scale
            if place + 1 < count { values[place + 1] = draw >> 32 < threshold ? 0 : values[place + 1] * scale }
        }
    }

    private func activate(_ values: UnsafeMutablePointer<Float>, _ rows: Int, _ layer: Network.Dense) {
        let count = rows * layer.units
        switch layer.activation {
        case .linear: break
        case .relu: for index in 0..<count { values[index] = max(values[index], 0) }
        case .tanh: for index in 0..<count { values[index] = tanhf(values[index]) }
        case .sigmoid: for index in 0..<count { values[index] = 1 / (1 + expf(-values[index])) }
        case .softmax:
            for row in 0..<rows {
                let scores = UnsafeMutableBufferPointer(start: values + row * layer.units, count: layer.units)
                let largest = scores.max() ?? 0
                var sum: Float = 0
                for index in scores.indices {
                    scores[index] = expf(scores[index] - largest)
                    sum += scores[index]
                }
                for index in scores.indices { scores[index] /= sum }
            }
        }
    }

    /// After `forward`: the sum over the rows of the gradient of the cross-entropy, into `gradient`.
    ///
    /// With a sigmoid or softmax last layer the error at its input is (score - truth).
    package func backward(_ parameters: UnsafePointer<Float>, labels: UnsafePointer<Int32>, rows: Int, dropout: UInt64?)
    {
        let last = network.layers.count - 1
        var delta = deltas[last + 1]
        let units = network.outputs
        for row in 0..<rows {
            for unit in 0..<units {
                let truth: Float = units == 1 ? (labels[row] > 0 ? 1 : 0) : (labels[row] == unit ? 1 : 0)
                delta[row * units + unit] = output[row * units + unit] - truth
            }
        }
        for index in stride(from: last, through: 0, by: -1) {
            let layer = network.layers[index]
            cblas_sgemm(
                CblasRowMajor, CblasTrans, CblasNoTrans, blasint(layer.units), blasint(layer.inputs), blasint(rows), 1,
                delta, blasint(layer.units),
                activations[index], blasint(layer.inputs), 0, gradient + layer.weights, blasint(layer.inputs))
            let biases = gradient + layer.biases
            biases.update(repeating: 0, count: layer.units)
            for row in 0..<rows { for unit in 0..<layer.units { biases[unit] += delta[row * layer.units + unit] } }
            guard index > 0 else { break }
            let next = deltas[index]
            cblas_sgemm(
                CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(rows), blasint(layer.inputs), blasint(layer.units),
                1, delta, blasint(layer.units),
                parameters + layer.weights, blasint(layer.inputs), 0, next, blasint(layer.inputs))
            // Through the dropout first: dropped inputs pass no gradient.
            if let dropout, layer.dropout > 0 {
                drop(next, rows * layer.inputs, layer.dropout, mix(dropout, UInt64(index)))
            }
            derive(
                next, activations[index], rows * layer.inputs, network.layers[index - 1].activation, layer.dropout,
                dropout != nil)
            delta = next
        }
    }

    /// Multiplies by the derivative of the activation, told from its output. Where dropout scaled that output, it is scaled back.
    private func derive(
        _ delta: UnsafeMutablePointer<Float>, _ output: UnsafePointer<Float>, _ count: Int,
        _ activation: JobDescription.Activation,
        _ rate: Double, _ dropped: Bool
    ) {
        let keep: Float = dropped && rate > 0 ? Float(1 - rate) : 1
        switch activation {
        case .linear, .softmax: break
        case .relu: for index in 0..<count where output[index] <= 0 { delta[index] = 0 }
        case .tanh:
            for index in 0..<count {
                let y = output[index] * keep
                delta[index] *= 1 - y * y
            }
        case .sigmoid:
            for index in 0..<count {
                let y = output[index] * keep
                delta[index] *= y * (1 - y)
            }
        }
    }
}
