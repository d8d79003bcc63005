package import Foundation

/// The one spelling of JSON over REST: sorted keys, slashes as they are.
package enum RestJSON {
    /// - Parameter isPretty: breaks lines and indents, for documents that people read as they come.
    /// - Throws: `EncodingError` where a number is not finite.
    package static func encode(_ value: some Encodable, isPretty: Bool = false) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if isPretty { encoder.outputFormatting.insert(.prettyPrinted) }
        return try encoder.encode(value)
    }

    /// - Throws: `DecodingError`, which names the key.
    package static func decode<Value: Decodable>(_: Value.Type, from data: Data) throws -> Value {
        try JSONDecoder().decode(Value.self, from: data)
    }
}

extension KeyedDecodingContainer {
    /// The value of a key, or the default where an older peer does not send the key.
    func decode<Value: Decodable>(_ key: Key, default value: Value) throws -> Value {
        try decodeIfPresent(Value.self, forKey: key) ?? value
    }
}
