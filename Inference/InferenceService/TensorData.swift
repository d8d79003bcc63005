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
