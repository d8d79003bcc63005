import Bytes

/// The answer to GET /v2.
struct ServerMetadata: Codable, Equatable {
    var name: String
    var version: String
    var extensions: [String]
}

/// The answer to GET /v2/health/live.
struct ServerLive: Codable, Equatable { var live: Bool }

/// The answer to GET /v2/health/ready.
struct ServerReady: Codable, Equatable { var ready: Bool }

/// The answer to GET /v2/models/NAME/ready.
struct ModelReady: Codable, Equatable {
    var name: String
    var ready: Bool
}

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

/// The body of POST /v2/models/NAME/infer.
struct InferRequest: Decodable {
    struct Input: Decodable {
        var name: String
        var shape: [Int]
        var datatype: String
        var data: TensorData
    }

    var id: String?
    var inputs: [Input]
}

/// The answer to POST /v2/models/NAME/infer.
struct InferResponse: Codable, Equatable {
    struct Output: Codable, Equatable {
        var name: String
        var datatype: String
        var shape: [Int]
        var data: [Double]
    }

    var modelName: String
    var modelVersion: String
    var id: String?
    var outputs: [Output]

    enum CodingKeys: String, CodingKey {
        case modelName = "model_name"
        case modelVersion = "model_version"
        case id, outputs
    }
}

/// The answer to a request that failed.
struct ErrorAnswer: Codable, Equatable { var error: String }

/// Numbers of a tensor as JSON has them: one list, or lists in lists. A missing value is null, and so is what is not
/// finite in Float32, as in training.
struct TensorData: Decodable {
    /// In the order of the text; NaN for a missing value.
    var values: [Float] = []

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        // The usual layouts first: generic nesting is decoded value by value.
        if let rows = try? container.decode([[Double?]].self) {
            values.reserveCapacity(rows.count * (rows.first?.count ?? 0))
            for row in rows { for value in row { values.append(Self.finite(value)) } }
        } else if let row = try? container.decode([Double?].self) {
            values = row.map(Self.finite)
        } else {
            var list = try decoder.unkeyedContainer()
            try append(&list)
        }
    }

    private mutating func append(_ list: inout any UnkeyedDecodingContainer) throws {
        while !list.isAtEnd {
            if try list.decodeNil() {
                values.append(.nan)
            } else if var inner = try? list.nestedUnkeyedContainer() {
                try append(&inner)
            } else {
                values.append(Self.finite(try list.decode(Double.self)))
            }
        }
    }

    static func finite(_ value: Double?) -> Float {
        let single = Float(value ?? .nan)
        return single.isFinite ? single : .nan
    }
}
