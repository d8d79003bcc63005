/// The key that every stored document may have; a document without it has format 1.
private enum FormatKey: CodingKey { case format }

extension Decoder {
    /// The keys of a stored or sent document, once its format is known to be one that this program reads.
    /// - Parameters:
    ///   - name: what the document is, for the error.
    ///   - newest: the newest format that this program reads.
    /// - Throws: `NewerFormat`, or a `DecodingError` where the value is no object.
    package func document<Keys: CodingKey>(
        _ name: String, newest: Int, keyedBy: Keys.Type
    ) throws -> KeyedDecodingContainer<Keys> {
        let format = try container(keyedBy: FormatKey.self).decodeIfPresent(Int.self, forKey: .format) ?? 1
        guard format <= newest else { throw NewerFormat(document: name, format: format, newest: newest) }
        return try container(keyedBy: Keys.self)
    }
}

extension KeyedDecodingContainer {
    /// Sets a property where the document has its key; else the property keeps its default.
    package func read<Value: Decodable>(_ key: Key, into value: inout Value) throws {
        if let found = try decodeIfPresent(Value.self, forKey: key) { value = found }
    }
}
