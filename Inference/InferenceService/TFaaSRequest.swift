/// The body of TFaaS's POST /json: the features of one event by name.
struct TFaaSRequest: Decodable {
    /// A feature's value; NaN where it is missing.
    struct Value: Decodable {
        var number: Float

        /// Takes a number, null, or a list of one of them.
        init(from decoder: any Decoder) throws {
            if let single = try? decoder.singleValueContainer(), single.decodeNil() {
                number = .nan
            } else if let value = try? decoder.singleValueContainer().decode(Double.self) {
                number = TensorData.finite(value)
            } else {
                let list = try TensorData(from: decoder).values
                guard list.count == 1 else {
                    throw DecodingError.dataCorrupted(
                        .init(
                            codingPath: decoder.codingPath,
                            debugDescription: "expected one value for each key; found \(list.count)"))
                }
                number = list[0]
            }
        }
    }

    var model: String
    var keys: [String]
    var values: [Value]
}

/// An entry of TFaaS's GET /models.
struct TFaaSModel: Codable, Equatable {
    var name: String
    var version: Int64
}
