/// The answer to GET /v2/models/NAME.
struct ModelMetadata: Codable, Equatable {
    struct Tensor: Codable, Equatable {
        struct Parameters: Codable, Equatable {
            /// The names of the features, in their order.
            var features: [String]
        }

        var name: String
        var datatype: String
        /// -1 stands for any number of samples.
        var shape: [Int]
        var parameters: Parameters?
    }

    var name: String
    var versions: [String]
    var platform: String
    var inputs: [Tensor]
    var outputs: [Tensor]
}

/// The answer to GET /v2/models/NAME/ready.
struct ModelReady: Codable, Equatable {
    var name: String
    var ready: Bool
}
