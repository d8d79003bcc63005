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
