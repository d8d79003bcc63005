import Bytes

extension ONNXModel {
    /// The numbers of the fields that may be large in what `export` writes.
    private enum Field {
        static let graph = 7
        static let metadata = 14
        static let initializer = 5
        static let rawData = 9
        static let value = 2
    }

    /// The most bytes of all that is neither the values of tensors nor a text of the file's own. 4,096 operators take
    /// less than 700,000.
    private static let maxStructureBytes = 1 << 20
    /// The most parts of a graph: operators, tensors, inputs and outputs.
    private static let maxParts = 1 << 14

    /// Checks that decoding the bytes will not take many times their size: decoded, an empty part takes a hundred times
    /// its two bytes.
    ///
    /// - Throws: `InputError` with `.corrupt` where the bytes are no protobuf message, with `.limit` where it has more
    ///   parts than any model that a bundle may have.
    static func checkSize(_ bytes: [UInt8]) throws(InputError) {
        var structure = bytes.count
        var parts = 0
        var fields = ProtobufFields(bytes, bytes.indices)
        while let (number, content) = try fields.next() {
            switch number {
            case Field.metadata:
                var entry = ProtobufFields(bytes, content)
                while let (number, content) = try entry.next() {
                    if number == Field.value { structure -= content.count }
                }
            case Field.graph:
                var graph = ProtobufFields(bytes, content)
                while let (number, content) = try graph.next() {
                    parts += 1
                    guard number == Field.initializer else { continue }
                    var tensor = ProtobufFields(bytes, content)
                    while let (number, content) = try tensor.next() {
                        if number == Field.rawData { structure -= content.count }
                    }
                }
            default: break
            }
        }
        guard structure <= maxStructureBytes, parts <= maxParts else {
            throw InputError(
                .limit, "the ONNX file has too many parts",
                expected: "at most \(maxParts) parts and \(maxStructureBytes) bytes besides the values of tensors",
                found: "\(parts) parts, \(structure) bytes")
        }
    }
}
