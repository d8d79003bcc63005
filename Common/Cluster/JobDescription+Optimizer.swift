extension JobDescription {
    /// The rule by which a step's gradient updates the weights, with its parameters.
    package enum Optimizer: Sendable, Equatable {
        /// Gradient descent, with or without momentum.
        case sgd(GradientDescent)
        /// Adam; weight decay is added to the gradient.
        case adam(AdaptiveMoments)
        /// Adam with weight decay apart from the gradient, after Loshchilov and Hutter.
        case adamW(AdaptiveMoments)
    }

    /// What gradient descent is set up with.
    package struct GradientDescent: Codable, Sendable, Equatable {
        package var learningRate = 0.01
        /// The decay of the velocity, from 0 (none) to below 1.
        package var momentum = 0.0
        /// Whether the gradient is taken ahead of the velocity, after Nesterov.
        package var nesterov = false
        /// What the weights are multiplied by before they are added to their gradient.
        package var weightDecay = 0.0

        package init(learningRate: Double = 0.01) { self.learningRate = learningRate }
    }

    /// What Adam and AdamW are set up with.
    package struct AdaptiveMoments: Codable, Sendable, Equatable {
        package var learningRate = 0.001
        /// The decay of the first moment, from 0 to below 1.
        package var beta1 = 0.9
        /// The decay of the second moment, from 0 to below 1.
        package var beta2 = 0.999
        /// Added to the root of the second moment, above 0.
        package var epsilon = 1e-7
        /// The decay of the weights: added to the gradient by Adam, apart from it by AdamW.
        package var weightDecay = 0.0

        package init(learningRate: Double = 0.001) { self.learningRate = learningRate }
    }
}

extension JobDescription.Optimizer: Codable {
    private enum CodingKeys: CodingKey { case sgd, adam, adamW }

    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        if let settings = try keys.decodeIfPresent(JobDescription.GradientDescent.self, forKey: .sgd) {
            self = .sgd(settings)
        } else if let settings = try keys.decodeIfPresent(JobDescription.AdaptiveMoments.self, forKey: .adamW) {
            self = .adamW(settings)
        } else {
            self = .adam(try keys.decode(JobDescription.AdaptiveMoments.self, forKey: .adam))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var keys = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .sgd(let settings): try keys.encode(settings, forKey: .sgd)
        case .adam(let settings): try keys.encode(settings, forKey: .adam)
        case .adamW(let settings): try keys.encode(settings, forKey: .adamW)
        }
    }
}

// MARK: Decoding: what an earlier format lacks has its default

extension JobDescription.GradientDescent {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.learningRate, into: &learningRate)
        try keys.read(.momentum, into: &momentum)
        try keys.read(.nesterov, into: &nesterov)
        try keys.read(.weightDecay, into: &weightDecay)
    }
}

extension JobDescription.AdaptiveMoments {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.learningRate, into: &learningRate)
        try keys.read(.beta1, into: &beta1)
        try keys.read(.beta2, into: &beta2)
        try keys.read(.epsilon, into: &epsilon)
        try keys.read(.weightDecay, into: &weightDecay)
    }
}
