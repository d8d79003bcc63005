extension JobDescription {
    /// The function that a dense layer applies to its sums, or an activation layer to its input.
    package enum Activation: String, Codable, Sendable, CaseIterable {
        case relu, tanh, sigmoid, softmax, linear, elu, selu, gelu, silu
        case leakyReLU = "leaky_relu"
    }

    /// How the weights of a dense layer are drawn; biases begin with 0, but for `pytorch`.
    package enum Initializer: String, Codable, Sendable, CaseIterable {
        case glorotUniform = "glorot_uniform"
        case glorotNormal = "glorot_normal"
        case heUniform = "he_uniform"
        case heNormal = "he_normal"
        case leCunUniform = "lecun_uniform"
        case leCunNormal = "lecun_normal"
        /// As PyTorch's Linear begins: weights and biases uniform within 1 over the root of the inputs.
        case pytorch
    }

    /// One layer of the model.
    package enum Layer: Codable, Sendable, Equatable {
        /// Fully connected; nil draws the weights as `glorotUniform`.
        case dense(units: Int, activation: Activation, initializer: Initializer? = nil)
        /// Sets the share `rate` of the values to zero while training.
        case dropout(rate: Double)
        case activation(Activation)
        /// Normalises each feature over a lane's samples of a step; later by running statistics, of which each step
        /// replaces the share `momentum`.
        case batchNorm(momentum: Double, epsilon: Double)
        /// Normalises each sample over its features.
        case layerNorm(epsilon: Double)
        /// Adds the output of an earlier layer, by its index in the list from 0.
        case add(layer: Int)
    }

    /// The loss that training minimises. The raw values are the names in job files.
    package enum Loss: String, Codable, Sendable, CaseIterable {
        case binary = "binary_crossentropy"
        case categorical = "categorical_crossentropy"
        /// The cross-entropy of the last layer's shape with less weight on samples that are classified well.
        case focal
        /// The mean squared error of a target.
        case mse
        /// The squared error of a target up to a distance, and beyond it in proportion to the distance.
        case huber

        /// Whether it compares the model's one output with a target, rather than scores with a class.
        package var isRegression: Bool {
            switch self {
            case .binary, .categorical, .focal: false
            case .mse, .huber: true
            }
        }
    }

    /// What a loss is set up with.
    package struct LossSettings: Codable, Sendable, Equatable {
        /// The share of each label that is spread over all classes, from 0 to below 1.
        package var labelSmoothing = 0.0
        /// The exponent of focal loss, 0 or more.
        package var gamma = 2.0
        /// The weight of class 1 in focal loss, that of class 0 being 1 less it; nil weighs both alike.
        package var alpha: Double?
        /// The distance from which the Huber loss is linear, above 0, in units of the normalised target.
        package var delta = 1.0

        package init() {}
    }
}

extension JobDescription.LossSettings {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.labelSmoothing, into: &labelSmoothing)
        try keys.read(.gamma, into: &gamma)
        try keys.read(.alpha, into: &alpha)
        try keys.read(.delta, into: &delta)
    }
}
